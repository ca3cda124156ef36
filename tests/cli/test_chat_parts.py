"""The pure parts of the chat, and the talk over a fake bot."""

import os
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from databot.cli.chat.blocks import split_finished
from databot.cli.chat.lines import read_all, read_lines, split_lines
from databot.cli.chat.slash import Desk, run_slash, write_new
from databot.cli.chat.summary import (
    evidence_line,
    finished_tool,
    footer,
    full_evidence,
    tool_label,
)
from databot.cli.chat.talk import Talk, new_session_id
from databot.cli.chat.view import LiveView
from databot.cli.output import Output
from databot.cli.text import cell, safe
from databot.types.errors import Conflict, NotFound, RequestError
from databot.types.events import (
    MessageCompleted,
    StreamEvent,
    TextDelta,
    ToolFinished,
    TurnRestarted,
)
from databot.types.evidence import Citation, Evidence
from databot.types.messages import OutboundMessage
from tests.cli.fake_bot import CHART, EVIDENCE, FakeBot, FakeSource


def message(content: str, **changes: object) -> OutboundMessage:
    values = {"channel": "cli", "chat_id": "s", "turn_id": "t", "session_id": "s"}
    return OutboundMessage(content=content, **{**values, **changes})  # type: ignore[arg-type] - built by name


def whole(content: str) -> MessageCompleted:
    return MessageCompleted(turn_id="t", message=message(content))


def shown_by(*events: StreamEvent) -> str:
    """What a view leaves on a screen of 60 columns."""
    file = StringIO()
    with LiveView(Console(file=file, width=60, force_terminal=False)) as view:
        for event in events:
            view.show(event)
    return file.getvalue()


def test_a_block_is_finished_at_an_empty_line() -> None:
    assert split_finished("one\n\ntwo") == ("one\n\n", "two")
    assert split_finished("one\ntwo") == ("", "one\ntwo")


def test_an_empty_line_inside_a_code_fence_finishes_nothing() -> None:
    assert split_finished("```sql\nSELECT\n\n1") == ("", "```sql\nSELECT\n\n1")
    assert split_finished("```\n\n```\n\nend") == ("```\n\n```\n\n", "end")
    assert split_finished("~~~\n```\n\n") == ("", "~~~\n```\n\n")


@given(st.text(alphabet="ab \n`~|", max_size=80))
def test_cutting_into_blocks_loses_nothing(text: str) -> None:
    finished, rest = split_finished(text)
    assert finished + rest == text


@given(st.text(max_size=200))
def test_safe_text_never_starts_an_escape_sequence(text: str) -> None:
    assert "\x1b" not in safe(text)
    assert "\x9b" not in safe(text)


def test_a_link_or_title_sequence_goes_with_its_content() -> None:
    assert safe("a\x1b]8;;http://x\x07b\x1b]52;c;ZXZpbA==\x1b\\c") == "abc"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (1234567, "1234567"),
        (0.5, "0.50"),
        (1234.0, "1,234"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"\x00\x01", "<2 bytes>"),
        ("a\nb\x1b[1m", "a b"),
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31 09:30:00+00:00"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_a_cell_is_one_short_line(value: object, text: str) -> None:
    assert cell(value) == text


def test_evidence_says_where_how_much_how_long_and_when() -> None:
    assert evidence_line(EVIDENCE) == "▸ warehouse · 2 rows · 12 ms · as of 2026-01-31 09:30 UTC"


def test_evidence_of_a_cut_result_says_that_there_is_more() -> None:
    cut = Evidence(
        connector="w", statement="", rows=1, truncated=True, elapsed_ms=2500, as_of="unknown"
    )
    assert evidence_line(cut) == "▸ w · 1 row · more rows exist · 2.5 s · as of unknown"


def test_what_was_only_looked_up_stands_in_the_long_form_alone() -> None:
    looked = Evidence(
        connector="w",
        statement="SELECT DISTINCT c",
        rows=2,
        truncated=False,
        elapsed_ms=1,
        as_of="now",
        purpose="lookup",
    )
    reply = message("There are 2.", evidence=(replace(looked, purpose="answer"), looked))
    assert footer(reply) == ["▸ w · 2 rows · 1 ms · as of now"]
    told = [text for kind, text in full_evidence(reply) if kind == "line"]
    assert told[1] == "▸ w · lookup · 2 rows · 1 ms · as of now"


def test_the_footer_names_cited_sources_files_remarks_and_an_early_end() -> None:
    cited = Citation(marker="[1]", title="Metrics", source="docs/metrics.md", quote="q", score=0.5)
    reply = message(
        "Net of tax [1].",
        citations=(cited,),
        artifacts=(CHART,),
        notes=("careful",),
        finish_reason="max_iterations_reached",
    )
    assert footer(reply) == [
        "▸ file chart.svg · 4 bytes · art_1",
        "▸ read: [1] docs/metrics.md",
        "! ended early: max iterations reached",
        "! careful",
    ]


def test_a_running_tool_is_shown_by_its_first_text() -> None:
    assert tool_label("sql", {"limit": 3, "sql": "SELECT\n  1"}) == "sql: SELECT 1"
    assert tool_label("schema", {}) == "schema"


def test_a_chart_drawn_as_text_is_shown_once() -> None:
    event = ToolFinished(turn_id="t", call_id="c", tool="chart", ok=True, ms=5, summary="a ▆\nb █")
    assert finished_tool(event, "chart") == "✓ chart · 5 ms"
    assert shown_by(event, whole("drawn")).count("b █") == 1
    assert shown_by(event, whole("drawn:\n\n    a ▆\n    b █\n")).count("b █") == 1


def test_pieces_that_were_lost_on_the_way_are_drawn_from_the_whole() -> None:
    done = MessageCompleted(turn_id="t", message=message("one two three"))
    assert "one two three" in shown_by(TextDelta(turn_id="t", text="one "), done)
    assert shown_by(done).count("one two three") == 1


def test_a_text_that_came_whole_is_drawn_once() -> None:
    deltas = [TextDelta(turn_id="t", text=part) for part in ("first\n", "\nsecond", " part")]
    done = MessageCompleted(turn_id="t", message=message("first\n\nsecond part"))
    text = shown_by(*deltas, done)
    assert (text.count("first"), text.count("second part")) == (1, 1)


def test_a_restarted_turn_discards_what_was_not_drawn_for_good() -> None:
    text = shown_by(
        TextDelta(turn_id="t", text="half"),
        TurnRestarted(turn_id="t"),
        MessageCompleted(turn_id="t", message=message("whole")),
    )
    assert "half" not in text
    assert "begins again" in text
    assert "whole" in text


def test_bytes_are_cut_into_lines_wherever_the_pieces_end() -> None:
    pieces = ["caf\u00e9 on".encode()[:4], "caf\u00e9 on".encode()[4:], b"e\ntwo\n", b"three"]
    assert list(split_lines(iter(pieces))) == ["caf\u00e9 one", "two", "three"]


async def test_lines_are_read_to_the_end_of_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"".join(b"%d\n" % n for n in range(1000)))
    os.close(writer)
    async with aclosing(read_lines(reader)) as lines:
        assert [line async for line in lines] == [str(n) for n in range(1000)]
    os.close(reader)


def test_a_whole_input_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"two\nlines")
    os.close(writer)
    assert read_all(reader) == "two\nlines"
    os.close(reader)


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 31, 9, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        del seconds


class FixedIds:
    def new(self, prefix: str) -> str:
        return f"{prefix}_0123456789abcdef"


def test_a_new_conversation_has_a_name_people_can_read() -> None:
    assert new_session_id(FixedClock(), FixedIds()) == "cli-20260131-093000-cdef"


async def test_the_talk_asks_with_its_session_and_bot() -> None:
    bot = FakeBot()
    talk = Talk(bot=bot, session_id="here")
    async with aclosing(talk.ask("  @sql how many \ud800 ")) as events:
        names = [event.name async for event in events]
    assert names[-1] == "turn_finished"
    assert bot.asked == [
        {"text": "@sql how many ?", "session": "here", "bot": "default", "key": None}
    ]
    assert talk.last is not None


async def test_a_stop_asked_before_the_turn_has_a_name_is_not_forgotten() -> None:
    bot = FakeBot()
    talk = Talk(bot=bot, session_id="here")
    async with aclosing(talk.ask("slow")) as events:
        await talk.cancel()
        assert bot.engine.cancelled == []
        await talk.cancel()
        names = [event.name async for event in events]
    assert names[-1] == "turn_failed"
    assert bot.engine.cancelled == ["turn_1"]


@pytest.fixture
def desk() -> Desk:
    talk = Talk(bot=FakeBot(), session_id="here")
    return Desk(talk=talk, output=Output(rich=False, color=False))


async def test_an_unknown_command_is_told_and_help_is_named(desk: Desk) -> None:
    with pytest.raises(NotFound, match="/nope") as raised:
        await run_slash(desk, "/nope")
    assert "/help" in raised.value.hint


async def test_sql_asks_which_database_when_there_are_two(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.talk.bot.connectors.sql()["lake"] = FakeSource("lake")  # type: ignore[index] - the fake's is a dict
    with pytest.raises(RequestError, match="which database"):
        await run_slash(desk, "/sql SELECT 1")
    await run_slash(desk, "/sql lake SELECT 1")
    assert capsys.readouterr().out == "country\torders\nJapan\t12\nNULL\t7\n"


async def test_sql_without_a_statement_says_how(desk: Desk) -> None:
    with pytest.raises(RequestError, match="no statement"):
        await run_slash(desk, "/sql")


async def test_a_session_that_does_not_exist_is_not_entered(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await run_slash(desk, "/sessions 7")
    assert desk.talk.session_id == "here"


async def test_a_file_is_saved_once_and_never_over_another(desk: Desk, tmp_path: Path) -> None:
    desk.talk.last = message("x", artifacts=(CHART,))
    target = tmp_path / "mine.svg"
    await run_slash(desk, f"/save 1 {target}")
    assert target.read_bytes() == b"<svg"
    with pytest.raises(Conflict, match="exists already"):
        await run_slash(desk, f"/save 1 {target}")
    with pytest.raises(Conflict, match="1 file"):
        await run_slash(desk, "/save 2")


async def test_a_file_is_saved_to_the_path_that_is_given_alone(desk: Desk, tmp_path: Path) -> None:
    other = replace(CHART, id="art_none", name="chart.png")
    desk.talk.last = message("x", artifacts=(other, CHART))
    await run_slash(desk, f"/save {tmp_path / 'my chart.svg'}")  # of two files the one of that kind
    assert (tmp_path / "my chart.svg").read_bytes() == b"<svg"
    await run_slash(desk, f"/save 2 {tmp_path}")  # into a folder, under its own name
    assert (tmp_path / CHART.name).read_bytes() == b"<svg"
    with pytest.raises(Conflict, match="2 files"):
        await run_slash(desk, "/save 0")
    desk.talk.last = None
    with pytest.raises(Conflict, match="0 files"):
        await run_slash(desk, f"/save {tmp_path / 'b.svg'}")


async def test_a_session_is_known_by_its_number_before_it_was_listed(desk: Desk) -> None:
    await run_slash(desk, "/sessions 1")
    assert (
        desk.talk.session_id
        == (await desk.talk.bot.sessions.list("default"))[0].conversation.session_id
    )


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be written"):
        write_new(tmp_path / "no" / "such" / "folder", b"")
