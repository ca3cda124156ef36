"""Tables on a terminal, in which no word is cut: one that is too wide is told row by row.

Only imported where something is drawn.
"""

from collections.abc import Sequence
from typing import ClassVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.table import Table
from rich.text import Text


class Fitting:
    """A table, or its rows one below the other where the words of a row do not fit beside each other.

    `gap` is how many columns of the screen a column of the table takes besides its words.
    """

    def __init__(
        self, table: Table, names: Sequence[Text], rows: Sequence[Sequence[Text]], *, gap: int
    ) -> None:
        self.table = table
        self.names = names
        self.rows = rows
        self.gap = gap

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        columns = list(zip(self.names, *self.rows, strict=True))
        needed = [max(map(longest_word, column)) for column in columns]
        room = options.max_width - self.gap * len(needed) - 1
        if sum(needed) <= room:
            wanted = [max(cell.cell_len for cell in column) for column in columns]
            widths = shared_out(needed, wanted, room)
            for column, width in zip(self.table.columns, widths, strict=True):
                column.width = width
            yield self.table
            return
        for row in self.rows:
            yield Text()
            for name, value in zip(self.names, row, strict=True):
                told = Text.assemble((f"{name.plain}: ", "dim"), value)
                told.justify, told.overflow = "left", "fold"
                yield told


def longest_word(text: Text) -> int:
    return max((cell_len(word) for word in text.plain.split()), default=0)


def shared_out(needed: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """How wide each column is: what it needs, and of what is left as much as it wants or its share, the modest first."""
    widths = list(needed)
    left = room - sum(needed)
    modest = sorted(range(len(needed)), key=lambda at: wanted[at] - needed[at])
    for waiting, at in zip(range(len(modest), 0, -1), modest, strict=True):
        more = min(wanted[at] - needed[at], left // waiting)
        widths[at] += more
        left -= more
    return widths


def list_table(
    columns: Sequence[Text], rows: Sequence[Sequence[Text]], *, right: Sequence[bool], title: str
) -> Fitting:
    """A list of a command; `right` says which columns hold numbers."""
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for name, numeric in zip(columns, right, strict=True):
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*row)
    return Fitting(table, columns, rows, gap=3)


class FittingTable(TableElement):
    """A table of an answer."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header = self.header.row if self.header else None
        names = [cell.content for cell in header.cells] if header else []
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        for table in super().__rich_console__(console, options):
            yield Fitting(table, names, rows, gap=2) if isinstance(table, Table) else table


class Answer(Markdown):
    """Markdown whose tables fit."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "table_open": FittingTable,
    }
