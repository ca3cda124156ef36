"""Where a command writes: the answer on stdout, everything about it on stderr.

On a terminal, lists are tables; in a pipe they are tab-separated lines without a single escape code.
"""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from databot.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The two streams of a command; `rich` says whether stdout is a terminal that may be drawn on."""

    rich: bool
    color: bool

    @classmethod
    def detect(cls, *, color: bool = True) -> "Output":
        """By the terminal, `NO_COLOR` and `TERM=dumb`."""
        terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        return cls(rich=terminal, color=terminal and color and not os.environ.get("NO_COLOR"))

    def console(self, file: TextIO | None = None) -> "Console":
        """A rich console on stdout, or on `file`."""
        from rich.console import Console

        return Console(file=file or sys.stdout, no_color=not self.color, highlight=False)

    def line(self, text: str = "") -> None:
        """A line of the answer."""
        sys.stdout.write(safe(text) + "\n")

    def note(self, text: str) -> None:
        """A line about the answer, on stderr."""
        sys.stdout.flush()
        sys.stderr.write((wrapped(safe(text)) if self.rich else safe(text)) + "\n")
        sys.stderr.flush()

    def json(self, value: object) -> None:
        """`value` as one JSON document."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Row], *, title: str = "") -> None:
        """A list for people; in a pipe a header line and tab-separated rows."""
        if not self.rich:
            for row in (columns, *rows):
                sys.stdout.write("\t".join(flat(item) for item in row) + "\n")
            return
        from rich.text import Text

        from databot.cli.tables import list_table

        right = [bool(rows) and all(is_number(row[at]) for row in rows) for at in range_of(columns)]
        names = [Text(safe(name)) for name in columns]
        cells = [[Text(safe(item)) for item in row] for row in rows]
        self.console().print(list_table(names, cells, right=right, title=title))

    def records(
        self, records: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool
    ) -> None:
        """Records as a JSON array, or as a table of `columns`."""
        if as_json:
            self.json(records)
            return
        self.table(columns, [[shown(record.get(name)) for name in columns] for record in records])


def wrapped(text: str) -> str:
    """The text in lines that fit the terminal, broken between words: a terminal itself breaks anywhere."""
    width = shutil.get_terminal_size().columns
    lines = [
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        if len(line) > width
        else line
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def range_of(columns: Sequence[str]) -> range:
    return range(len(columns))


def flat(text: str) -> str:
    """A cell of a tab-separated line."""
    return " ".join(safe(text).split())


def is_number(text: str) -> bool:
    return text == "NULL" or text.replace(",", "").replace(".", "", 1).lstrip("-").isdigit()


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
