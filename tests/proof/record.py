"""What the world outside of databot saw: a file that outlives every process, one line an event.

A line is one `write`, which a killed process leaves behind whole or not at all.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something that happened in the run of this number: `kind` what, `of` to which question."""

    run: int
    kind: str
    of: str
    what: str = ""
    key: str = ""


class Record:
    """Appends to the file, in the name of one run."""

    def __init__(self, path: Path, run: int) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._path = path
        self._run = run

    def add(self, kind: str, of: str, *, what: str = "", key: str = "") -> None:
        line = {"run": self._run, "kind": kind, "of": of, "what": what, "key": key}
        os.write(self._descriptor, orjson.dumps(line) + b"\n")

    def lines(self, kind: str) -> Sequence[Line]:
        return [line for line in read_record(self._path) if line.kind == kind]

    def close(self) -> None:
        os.close(self._descriptor)


def read_record(path: Path) -> list[Line]:
    """Everything, in the order it happened."""
    if not path.exists():
        return []
    found: list[dict[str, Any]] = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return [Line(**line) for line in found]
