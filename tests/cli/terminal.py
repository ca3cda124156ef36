"""A terminal to run databot in: a real pseudo-terminal whose screen can be read.

It answers what a terminal answers (the cursor's position), and every wait has an end.
"""

import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pexpect
import pyte

WAIT_S = 30.0
CURSOR_QUERY = "\x1b[6n"
PRIVATE = re.compile(r"\x1b\[[<>=?][0-9;]*[a-zA-Z]")
"""Private sequences pyte does not know, such as the keyboard protocols."""


class Scrolling(pyte.Screen):
    """A screen that remembers the lines that left it at the top."""

    def __init__(self, columns: int, rows: int) -> None:
        self.above: list[str] = []
        super().__init__(columns, rows)

    def index(self) -> None:
        if self.cursor.y == self.lines - 1:
            self.above.append(self.display[0].rstrip())
        super().index()


class Terminal:
    """A program in a terminal of `columns` by `rows`."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        *,
        env: Mapping[str, str] | None = None,
        columns: int = 100,
        rows: int = 40,
    ) -> None:
        self.screen = Scrolling(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.raw = ""
        self.child: pexpect.spawn[str] = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(cwd),
            env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": "", **(env or {})},
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(rows, columns),
            timeout=WAIT_S,
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *unused: object) -> None:
        if self.child.isalive():  # `close` itself gives a killed process a tenth of a second to end
            self.child.kill(signal.SIGKILL)
            self.child.wait()
        self.child.close()

    def text(self) -> str:
        """What was scrolled away and what is on the screen."""
        shown = [line.rstrip() for line in self.screen.display]
        return "\n".join([*self.screen.above, *shown])

    def wait_for(self, wanted: str, *, times: int = 1) -> str:
        """Read until `wanted` can be seen `times` times; gives the whole text."""
        end = monotonic() + WAIT_S
        while self.text().count(wanted) < times:
            assert monotonic() < end, f"{wanted!r} did not appear in:\n{self.text()}"
            alive = self.pump()
            assert alive or self.text().count(wanted) >= times, (
                f"the program ended without {wanted!r}:\n{self.text()}"
            )
        return self.text()

    def pump(self) -> bool:
        """Take in what the program wrote; says whether it still runs."""
        try:
            data = self.child.read_nonblocking(size=65_536, timeout=0.2)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        if CURSOR_QUERY in data:
            self.child.send(f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R")
        self.stream.feed(PRIVATE.sub("", data.replace(CURSOR_QUERY, "")))
        return True

    def type(self, text: str) -> None:
        """Type, and press Enter."""
        self.child.send(text + "\r")

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def end(self) -> int:
        """Wait for the program to end; gives its exit status."""
        end = monotonic() + WAIT_S
        while self.pump():
            assert monotonic() < end, f"the program did not end:\n{self.text()}"
        with suppress(pexpect.ExceptionPexpect):
            self.child.wait()
        self.child.close()
        return self.child.exitstatus if self.child.exitstatus is not None else -1


def fake_chat(
    cwd: Path, *, columns: int = 100, rows: int = 40, env: Mapping[str, str] | None = None
) -> Terminal:
    """The chat on a fake bot."""
    root = str(Path(__file__).parents[2])
    return Terminal(
        [sys.executable, "-m", "tests.cli.fake_bot"],
        cwd,
        env={"PYTHONPATH": root, **(env or {})},
        columns=columns,
        rows=rows,
    )
