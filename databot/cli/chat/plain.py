"""Answers without drawing: the reply on stdout and the rest on stderr, or every event as a line of JSON."""

import json
import os
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

from databot.cli.chat.summary import (
    chart_of,
    failure_line,
    finished_tool,
    footer,
    tool_label,
    untold,
)
from databot.cli.logs import log_place
from databot.cli.output import Output
from databot.cli.text import safe
from databot.types.events import (
    AgentSelected,
    MessageCompleted,
    StreamEvent,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    payload,
)
from databot.types.messages import OutboundMessage


async def show_plain(events: AsyncIterator[StreamEvent], output: Output) -> None:
    """Write the whole reply when it is there; progress, evidence and failures go to stderr as they happen."""
    reply: OutboundMessage | None = None
    charts: list[str] = []
    with waiting(output):
        async for event in events:
            reply = event.message if isinstance(event, MessageCompleted) else reply
            if isinstance(event, ToolFinished) and chart_of(event):
                charts.append(chart_of(event))
            line = progress(event)
            if line:
                output.note(line)
    if reply is None:
        return
    write_reply(reply.content, output)
    for line in [*untold(charts, reply.content), *footer(reply)]:
        output.note(line)


@contextmanager
def waiting(output: Output) -> Generator[None]:
    """A spinner on stderr where that is a terminal; lines written to stderr meanwhile appear above it."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots", text="working")
    with Live(spinner, console=output.console(sys.stderr), transient=True, redirect_stdout=False):
        yield


def write_reply(text: str, output: Output) -> None:
    if output.rich:
        from rich.markdown import Markdown

        output.console().print(Markdown(safe(text)))
    else:
        output.line(text.rstrip())
    sys.stdout.flush()


def progress(event: StreamEvent) -> str:
    """What stderr says about an event; most are not worth a line."""
    match event:
        case AgentSelected():
            return f"… {event.agent} answers ({event.reason})"
        case ToolStarted():
            return f"… {tool_label(event.tool, event.args)}"
        case ToolFinished(ok=False):
            return finished_tool(event, event.tool)
        case TurnFailed():
            return f"databot: {failure_line(event, log_place())}"
        case _:
            return ""


async def show_json(events: AsyncIterator[StreamEvent]) -> None:
    """One event a line: `{"event": name, …payload}`."""
    async for event in events:
        line = json.dumps({"event": event.name, **payload(event)}, ensure_ascii=False, default=str)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
