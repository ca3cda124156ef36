"""The commands of the chat, each on a bot of its own."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from databot.cli.chat.slash import Desk, run_slash
from databot.cli.chat.talk import Talk
from databot.cli.output import Output
from databot.connectors.base import SqlSource, TableName
from databot.types.errors import Conflict, NotFound
from databot.types.evidence import ArtifactRef, Citation
from databot.types.messages import OutboundMessage, ToolReport
from tests.cli.fake_bot import EVIDENCE, FakeBot, FakeConnectors, FakeSource


class EmptySource(FakeSource):
    """A database without a table."""

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        del schema
        return []


def desk_with(*sources: SqlSource) -> Desk:
    bot = FakeBot()
    bot.connectors = FakeConnectors(sources={source.name: source for source in sources})
    return Desk(talk=Talk(bot=bot, session_id="here"), output=Output(rich=False, color=False))


async def test_tables_are_those_of_all_databases_or_of_the_one_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    desk = desk_with(FakeSource("lake"), FakeSource("warehouse"))
    await run_slash(desk, "/tables")
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == [
        "connector",
        "lake",
        "warehouse",
    ]
    await run_slash(desk, "/tables lake")
    assert capsys.readouterr().out.splitlines()[1:] == ["lake\torders\ttable\t19\t"]


async def test_the_tables_of_a_database_nobody_connected_are_refused_with_what_there_is() -> None:
    with pytest.raises(NotFound, match="'lakes'") as caught:
        await run_slash(desk_with(FakeSource("lake"), FakeSource("warehouse")), "/tables lakes")
    assert caught.value.hint == "there are: lake, warehouse"


@pytest.mark.parametrize("line", ["/tables", "/sql SELECT 1"])
async def test_without_a_database_the_person_is_told_where_to_add_one(line: str) -> None:
    with pytest.raises(Conflict, match="no SQL database is connected") as caught:
        await run_slash(desk_with(), line)
    assert caught.value.hint == "add one under `connectors:`"


async def test_a_database_without_tables_is_said_to_be_empty() -> None:
    with pytest.raises(NotFound) as caught:
        await run_slash(desk_with(EmptySource("lake")), "/tables")
    assert caught.value.hint == "the connected databases are empty"


async def test_the_agents_are_listed_with_the_name_that_forces_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await run_slash(desk_with(), "/agents")
    assert capsys.readouterr().out.splitlines() == [
        "agent\tactive\tfor",
        "@sql\tyes\tdata",
        "@kafka\tno\ttopics",
    ]


def answered(desk: Desk, artifacts: tuple[ArtifactRef, ...] = ()) -> Desk:
    desk.talk.last = OutboundMessage(
        channel="cli",
        chat_id="here",
        content="12 orders [1].",
        turn_id="t",
        session_id="here",
        evidence=(EVIDENCE,),
        artifacts=artifacts,
        citations=(
            Citation(
                marker="[1]", title="Orders", source="docs/orders.md", quote="An\norder", score=1
            ),
        ),
        tools=(
            ToolReport(name="sql", args={}, ok=True, ms=12),
            ToolReport(name="chart", args={}, ok=False, ms=1500),
        ),
    )
    return desk


async def test_evidence_is_the_statement_the_rows_the_quotes_and_the_tools(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await run_slash(answered(desk_with()), "/evidence")
    assert capsys.readouterr().out.splitlines() == [
        "▸ warehouse · 2 rows · 12 ms · as of 2026-01-31 09:30 UTC",
        f"    {EVIDENCE.statement}",
        "    Japan | 12",
        "    Spain | 7",
        "▸ [1] Orders · docs/orders.md",
        "    An order",
        "▸ tool sql · ok · 12 ms",
        "▸ tool chart · failed · 1.5 s",
    ]


async def test_an_answer_without_evidence_is_said_to_have_none() -> None:
    with pytest.raises(Conflict, match="no evidence"):
        await run_slash(desk_with(), "/evidence")


async def test_a_file_that_was_deleted_meanwhile_is_not_saved(tmp_path: Path) -> None:
    gone = ArtifactRef(id="art_9", name="gone.csv", media_type="text/csv", size=1)
    target = tmp_path / "mine.csv"
    with pytest.raises(NotFound, match=r"gone\.csv"):
        await run_slash(answered(desk_with(), (gone,)), f"/save 1 {target}")
    assert not target.exists()
