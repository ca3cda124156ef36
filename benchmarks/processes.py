"""Processes that a benchmark starts: found ready, held to a core, always ended."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 60.0
STOP_S = 15.0
KEPT_LINES = 20
SERVER, CLIENT = 0, 1
"""The cores of what is measured and of what drives it, where there are two."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that is ready; `line` is what it said when it was."""

    pid: int
    line: str

    @property
    def url(self) -> str:
        """The first word of `line` that is an address."""
        return next(word for word in self.line.split() if word.startswith(("http:", "ws:")))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process: nobody's keys or settings, no colour, no phoning home."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith("_API_KEY") and not key.startswith(("DATABOT_", "OTEL_"))
    }
    ours = {"NO_COLOR": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONUNBUFFERED": "1"}
    return {**kept, **ours, **(extra or {})}


def pin(core: int, pid: int = 0) -> None:
    """Hold a process to a core, where there are two and the system can."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) >= 2:
        os.sched_setaffinity(pid, {core})


@contextmanager
def running(
    arguments: Sequence[str], *, ready: str, core: int = SERVER, cwd: Path | None = None
) -> Generator[Started]:
    """`python ARGUMENTS` from its first line with `ready` in it until the block is left.

    Raises `RuntimeError` with its last lines when it ends, or takes a minute, before it is ready.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=cwd,
    )
    output = Output(process)
    try:
        pin(core, process.pid)
        yield Started(process.pid, output.until(ready))
    finally:
        end(process)
        output.close()


def end(process: "subprocess.Popen[str]") -> None:
    """Ask it to stop, and make it."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Output:
    """Reads what a process says, to its end, so that it never waits for a reader."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._stream = process.stdout
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._mark = ""
        self._found = ""
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def until(self, mark: str) -> str:
        """The first line with `mark` in it."""
        with self._changed:
            self._mark = mark
            self._changed.wait_for(lambda: self._look() or self._ended, START_S)
            if not self._look():
                raise RuntimeError("a process is not ready: " + "\n".join(self._lines))
            return self._found

    def close(self) -> None:
        self._thread.join(STOP_S)
        self._stream.close()

    def _look(self) -> str:
        self._found = self._found or next((line for line in self._lines if self._mark in line), "")
        return self._found

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
