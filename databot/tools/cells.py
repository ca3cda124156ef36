"""Database values as JSON values: what a model, a person and a file may be shown of a cell.

Nothing is guessed and nothing is lost silently: a number that JSON readers would round is given as text, a value that
is cut ends in an ellipsis, and NULL stays distinct from the empty string. Knows no query.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from databot.types.errors import shorten

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_INTEGER = 2**53
"""Beyond this, a reader that keeps numbers as doubles would round."""
HEX_BYTES = 16
LINE_BREAKS = {0x7F: "\\u007f", 0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Characters JSON leaves alone and `splitlines` breaks at."""


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of any database
    """The whole value as a JSON value."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= EXACT_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _plain_object(value)


def _plain_object(value: Any) -> Any:  # noqa: ANN401 - any value of any database
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"0x{bytes(value).hex()}"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if type(value) in {list, tuple}:
        return [plain(item) for item in value]
    return str(value)


def cell(value: Any, limit: int) -> Any:  # noqa: ANN401 - any value of any database
    """The value as a JSON value of at most `limit` characters of text."""
    if isinstance(value, bytes) and len(value) > HEX_BYTES:
        return f"0x{value[:HEX_BYTES].hex()}… ({len(value)} bytes)"
    whole = plain(value)
    if isinstance(whole, str):
        return shorten(whole, limit)
    if isinstance(whole, list | dict):
        text = one_line_json(whole)
        return whole if len(text) <= limit else shorten(text, limit)
    return whole


def text(value: Any) -> str:  # noqa: ANN401 - any value of any database
    """The whole value as text, NULL as nothing: a cell of a CSV file."""
    if isinstance(value, float):  # the commonest, and `json` is slow at one at a time
        return repr(value) if math.isfinite(value) else ""
    whole = plain(value)
    if whole is None:
        return ""
    return whole if isinstance(whole, str) else one_line_json(whole)


def one_line_json(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """The value as JSON that no reader takes for several lines."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(LINE_BREAKS)


def column_values(column: "pa.ChunkedArray") -> Sequence[Any]:
    """A column's values as Python objects; what Python has no type for (nanoseconds, the year 12000) comes as text."""
    try:
        return column.to_pylist()
    except (ValueError, OverflowError):
        return [_careful(scalar) for chunk in column.chunks for scalar in chunk]


def _careful(scalar: "pa.Scalar[Any]") -> Any:  # noqa: ANN401 - any value of any database
    import pyarrow as pa

    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        pass
    try:
        return scalar.cast(pa.string()).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return f"<{scalar.type}>"


def rows_of(
    table: "pa.Table",
    convert: Callable[[Any], Any] = plain,
    *,
    start: int = 0,
    count: int | None = None,
) -> list[list[Any]]:
    """Rows `start` to `start + count` of a table, each cell converted."""
    part = table.slice(start, count) if count is not None else table.slice(start)
    columns = [column_values(column) for column in part.columns]
    return [[convert(value) for value in row] for row in zip(*columns, strict=True)]
