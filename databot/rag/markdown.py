"""Markdown as a row of blocks: headings, fenced code, tables and plain text, each whole.

Not a Markdown parser: it sees only what matters for cutting a text in good places. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_TABLE = re.compile(r"[ \t]*\|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece that is better not cut. `level` is a heading's, 1 to 6; otherwise 0."""

    kind: Literal["heading", "text", "code", "table"]
    lines: tuple[str, ...]
    level: int = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text, in order; blank lines only part them."""
    lines = text.split("\n")
    place = 0
    while place < len(lines):
        block, used = _next_block(lines, place)
        if block:
            yield block
        place += used


def _next_block(lines: list[str], place: int) -> tuple[Block | None, int]:
    line = lines[place]
    if not line.strip():
        return None, 1
    if match := _HEADING.match(line):
        return Block(kind="heading", lines=(_unclosed(match[2]),), level=len(match[1])), 1
    if match := _FENCE.match(line):
        return _fence(lines, place, match[1])
    if _TABLE.match(line):
        return _run(lines, place, "table")
    if place + 1 < len(lines) and (match := _UNDERLINE.match(lines[place + 1])):
        return _underlined(line, match[1]), 2
    return _run(lines, place, "text")


def _unclosed(heading: str) -> str:
    """Without the hashes that may end a heading; not by the pattern, which would look for them from every character on."""
    text = heading.rstrip(" \t")
    open_end = text.rstrip("#")
    return open_end.rstrip(" \t") if open_end.endswith((" ", "\t")) else text


def _underlined(line: str, underline: str) -> Block:
    return Block(kind="heading", lines=(line.strip(),), level=1 if underline[0] == "=" else 2)


def _fence(lines: list[str], place: int, mark: str) -> tuple[Block, int]:
    """Up to the closing fence, or to the end when it is never closed."""
    used = 1
    for number in range(place + 1, len(lines)):
        used += 1
        line = lines[number]
        if line.strip().startswith(mark) and not line.strip().strip(mark[0]):
            break
    return Block(kind="code", lines=tuple(lines[place : place + used])), used


def _run(lines: list[str], place: int, kind: Literal["text", "table"]) -> tuple[Block, int]:
    def goes_on(line: str) -> bool:
        if kind == "table":
            return bool(_TABLE.match(line))
        return bool(line.strip()) and not (
            _HEADING.match(line) or _FENCE.match(line) or _TABLE.match(line)
        )

    taken = (lines[place], *takewhile(goes_on, (lines[i] for i in range(place + 1, len(lines)))))
    return Block(kind=kind, lines=taken), len(taken)
