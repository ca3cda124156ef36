"""Draws an answer on a terminal while it comes: finished Markdown above, the growing end and a spinner below.

Only the end is redrawn, and never more of it than fits on the screen, so that long answers scroll cleanly.
"""

from collections.abc import Sequence
from time import perf_counter
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from databot.cli.chat.blocks import split_finished
from databot.cli.chat.summary import (
    chart_of,
    failure_line,
    finished_tool,
    footer,
    tool_label,
    untold,
)
from databot.cli.logs import log_place
from databot.cli.tables import Answer
from databot.cli.text import safe
from databot.types.events import (
    AgentSelected,
    MessageCompleted,
    StreamEvent,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnRestarted,
)
from databot.types.messages import OutboundMessage

RESERVED_LINES = 4


class Drawn:
    """Markdown without empty lines around it; `last_lines` keeps only the end of it."""

    def __init__(self, markup: str, last_lines: int | None = None) -> None:
        self.markup = markup
        self.last_lines = last_lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = trimmed(console.render_lines(Answer(self.markup), options, pad=False))
        for line in lines[-self.last_lines :] if self.last_lines else lines:
            yield from line
            yield Segment.line()


def trimmed(lines: list[list[Segment]]) -> list[list[Segment]]:
    """Without the empty lines at both ends."""
    full = [at for at, line in enumerate(lines) if any(part.text.strip() for part in line)]
    return lines[full[0] : full[-1] + 1] if full else []


class LiveView:
    """Shows one turn; use it as a context manager around its events."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.text = ""
        """All text since the last tool ran, as it was streamed."""
        self.pending = ""
        """The part of it that is not drawn for good."""
        self.running: dict[str, tuple[str, float]] = {}
        self.charts: list[str] = []
        self.begun = False
        self.started = perf_counter()
        self.doing = "thinking"
        self.spinner = Spinner("dots")
        self.live = Live(
            get_renderable=self.draw, console=console, transient=True, refresh_per_second=8
        )

    def __enter__(self) -> Self:
        self.live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.running.clear()
        self.keep(self.pending)
        self.pending = ""
        self.live.__exit__(kind, error, trace)

    def draw(self) -> Group:
        """What is below the finished part right now."""
        room = max(1, self.console.height - RESERVED_LINES)
        parts: list[Drawn | Spinner] = [Drawn(self.pending, room)] if self.pending.strip() else []
        self.spinner.update(
            text=Text(self.status(), style="dim", no_wrap=True, overflow="ellipsis")
        )
        return Group(*parts, self.spinner)

    def status(self) -> str:
        now = perf_counter()
        if self.running:
            return " · ".join(
                f"{what} {now - since:.0f} s" for what, since in self.running.values()
            )
        return f"{self.doing} {now - self.started:.0f} s"

    def show(self, event: StreamEvent) -> None:
        """Take in one event."""
        match event:
            case TextDelta():
                self.add(safe(event.text))
            case MessageCompleted():
                self.complete(event.message)
            case TurnRestarted():
                self.restart()
            case TurnFailed():
                self.settle()
                self.remark(f"✗ {failure_line(event, log_place())}")
            case _:
                self.show_work(event)

    def show_work(self, event: StreamEvent) -> None:
        """What goes on between the texts."""
        match event:
            case ToolStarted():
                self.begun = True
                self.settle()
                self.running[event.call_id] = (tool_label(event.tool, event.args), perf_counter())
            case ToolFinished():
                self.finish_tool(event)
            case AgentSelected():
                self.doing = f"{safe(event.agent)} is thinking"
            case _:
                pass

    def add(self, text: str) -> None:
        self.begun = True
        self.text += text
        finished, self.pending = split_finished(self.pending + text)
        self.keep(finished)

    def keep(self, markup: str) -> None:
        if markup.strip():
            self.console.print(Drawn(markup))
            self.console.print()

    def settle(self) -> None:
        """Draw what is pending for good; what comes next is another text."""
        self.keep(self.pending)
        self.text = self.pending = ""

    def restart(self) -> None:
        self.text = self.pending = ""
        self.running.clear()
        if self.begun:  # else nothing was shown yet that is shown again
            self.remark("! the answer was interrupted and begins again")

    def finish_tool(self, event: ToolFinished) -> None:
        label, _ = self.running.pop(event.call_id, (event.tool, 0.0))
        self.remark(finished_tool(event, label))
        self.charts += [chart] if (chart := chart_of(event)) else []

    def complete(self, message: OutboundMessage) -> None:
        """The whole text is here: draw what the stream did not bring."""
        whole, shown = safe(message.content), self.text.strip()
        if not shown or not whole.rstrip().endswith(shown):
            self.add_missing(whole)
        self.settle()
        for chart in untold(self.charts, whole):
            self.console.print(Text(f"{safe(chart)}\n"))
        self.remarks(footer(message))

    def add_missing(self, whole: str) -> None:
        """Pieces of the stream may be lost to a slow reader; the rest of the text is drawn from the whole."""
        if not whole.startswith(self.text):
            self.settle()
            self.remark("the whole answer:")
        self.add(whole[len(self.text) :])

    def stop(self) -> None:
        """The person wants the turn to end; it is not over yet."""
        self.running.clear()
        self.doing = "stopping"

    def remarks(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.remark(line)

    def remark(self, line: str) -> None:
        style = "yellow" if line.startswith(("!", "✗")) else "dim"
        self.console.print(Text(safe(line), style=style))
