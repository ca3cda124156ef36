"""What a chat without drawing says of each thing that happens."""

from collections.abc import AsyncIterator

import pytest

from databot.cli.chat.plain import show_plain
from databot.cli.output import Output
from databot.cli.text import file_size
from databot.types.events import (
    MessageCompleted,
    StreamEvent,
    ToolFinished,
)
from databot.types.messages import OutboundMessage

CHART = "Japan ████ 12\nSpain ██ 7"
PLAIN = Output(rich=False, color=False)


async def told(*events: StreamEvent) -> AsyncIterator[StreamEvent]:
    for event in events:
        yield event


def finished(*, ok: bool, summary: str) -> ToolFinished:
    return ToolFinished(turn_id="t", call_id="c", tool="chart", ok=ok, ms=12, summary=summary)


def reply(content: str) -> MessageCompleted:
    message = OutboundMessage(
        channel="cli", chat_id="s", content=content, turn_id="t", session_id="s"
    )
    return MessageCompleted(turn_id="t", message=message)


async def test_a_chart_the_reply_leaves_out_follows_it_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await show_plain(told(finished(ok=True, summary=CHART), reply("Here it is.")), PLAIN)
    out, err = capsys.readouterr()
    assert out == "Here it is.\n"
    assert err == f"{CHART}\n"


async def test_a_chart_the_reply_repeats_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    await show_plain(told(finished(ok=True, summary=CHART), reply(f"Here:\n\n{CHART}")), PLAIN)
    out, err = capsys.readouterr()
    assert CHART in out
    assert err == ""


async def test_a_tool_that_failed_is_told_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await show_plain(told(finished(ok=False, summary="no such column")), PLAIN)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "✗ chart · 12 ms — no such column\n"


def test_values_of_a_list_are_words_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"ready": True, "tools": ("sql", "chart"), "model": None, "n": 3}]
    PLAIN.records(records, ("ready", "tools", "model", "n"), as_json=False)
    assert capsys.readouterr().out.splitlines()[1] == "yes\tsql, chart\t\t3"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2_340_000, "2.3 MB")]
)
def test_sizes_are_told_in_units_people_use(size: int, text: str) -> None:
    assert file_size(size) == text
