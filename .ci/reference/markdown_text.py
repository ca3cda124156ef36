"""Markdown, as all pages of the reference are written."""

from collections.abc import Iterator, Sequence
from inspect import cleandoc

MADE = "<!-- Made by `make docs` from the code; do not edit. -->"
Row = Sequence[str]


def page(title: str, parts: Iterator[str]) -> str:
    return "\n\n".join([f"# {title}", MADE, *parts]) + "\n"


def table(heads: Row, rows: Sequence[Row]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def prose(doc: str | None) -> str:
    """A docstring as Markdown: whole, without the lines that a program reads."""
    return cleandoc(doc or "").split("\f", maxsplit=1)[0].strip()
