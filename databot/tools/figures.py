"""The numbers an answer may quote from a result.

They are: every number in it (numbers kept as text and the years of its dates too), how many rows it has, the total of each
numeric column when the result is whole, and the numbers in the statement that was asked ("orders over 100"). The
number check compares the prose with them. Blocks for a few milliseconds on a large result.
"""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from databot.connectors.base import QueryResult

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FIGURES = 50_000
NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?")
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
    for column in result.table.columns:
        yield from column_figures(column, whole=not result.truncated)


def column_figures(column: "pa.ChunkedArray", *, whole: bool) -> Iterator[float]:
    """The numbers of one column, each once; its total first when the column is `whole`."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_boolean(kind):
        return
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        yield from _numeric(column.cast(pa.float64(), safe=False), whole=whole)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        yield from _years(column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from _in_texts(column)


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


def _in_texts(column: "pa.ChunkedArray") -> Iterator[float]:
    for value in column.unique().drop_null().to_pylist():
        text = value.strip()
        if NUMBER.fullmatch(text):
            yield float(text)
        elif re.match(r"\d{4}-\d\d", text):
            yield float(text[:4])
