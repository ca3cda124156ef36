"""The numbers an answer may quote from a result.

They are: every number in it (the years of its dates, and the numbers within texts and column names too: "Decaf Blend 500
g"), how many rows it has, the total of each numeric column when the result is whole, and the numbers in the statement
that was asked ("orders over 100"). The number check compares the prose with them. Blocks for a few milliseconds on a
large result.
"""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from databot.connectors.base import QueryResult
from databot.tools.cells import column_values, text
from databot.tools.digits import numbers_in

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FIGURES = 50_000
MAX_PROSE = 100_000
"""So many characters of a result's texts are searched for numbers within them, each column's from the first row on: what
an answer can quote stands in the rows it was shown. Texts that are numbers as a whole are all taken."""
MAX_CELL = 2_000
NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?")
MOMENT = re.compile(
    r"\b(\d{4})-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)?\b"
)
"""A date, of which the year may be quoted by itself."""
IN_STATEMENT = re.compile(r"(?<![\w.\"`])\d{1,30}(?:\.\d{1,30})?(?![\w\"`])")


def figures_of(result: QueryResult) -> tuple[float, ...]:
    """The distinct figures of a result, the row count first; at most 50,000."""
    found: dict[float, None] = {float(result.table.num_rows): None}
    for figure in _all(result):
        found[figure] = None
        if len(found) >= MAX_FIGURES:
            break
    return tuple(found)


def _all(result: QueryResult) -> Iterator[float]:
    for match in IN_STATEMENT.finditer(result.statement):
        yield float(match.group())
    table = result.table
    room = MAX_PROSE // max(1, table.num_columns)
    for name, column in zip(table.column_names, table.columns, strict=True):
        yield from numbers_in(name[:MAX_CELL])
        yield from column_figures(column, whole=not result.truncated, room=room)


def column_figures(column: "pa.ChunkedArray", *, whole: bool, room: int) -> Iterator[float]:
    """The numbers of one column; its total first when the column is `whole`.

    In texts they are looked for in the first `room` characters.
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_boolean(kind):
        return
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        yield from _numeric(column.cast(pa.float64(), safe=False), whole=whole)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        yield from _years(column)
    else:
        yield from _in_texts(column, room)


def _numeric(column: "pa.ChunkedArray", *, whole: bool) -> Iterator[float]:
    from pyarrow import compute

    total = compute.call_function("sum", [column]).as_py()
    if whole and total is not None and math.isfinite(total):
        yield total
    values = column.unique().drop_null().to_pylist()
    yield from (value for value in values if math.isfinite(value))


def _years(column: "pa.ChunkedArray") -> Iterator[float]:
    from pyarrow import compute

    yield from map(float, compute.call_function("year", [column.drop_null()]).unique().to_pylist())


def _in_texts(column: "pa.ChunkedArray", room: int) -> Iterator[float]:
    for value in dict.fromkeys(map(text, column_values(column))):
        if NUMBER.fullmatch(value.strip()):
            yield float(value)
        elif room > 0:
            prose = value[: min(MAX_CELL, room)]
            room -= len(prose)
            yield from map(float, MOMENT.findall(prose))
            yield from numbers_in(MOMENT.sub(" ", prose))
