"""Chunks of one column brought to one Arrow type.

An engine without declared types (SQLite) may give integers in one chunk and fractions in the next. Widening never loses a
digit: where no exact common type exists the column becomes text.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa

from databot.connectors.sql.values import text

pc: Any = import_module("pyarrow.compute")  # its functions are made at run time
INT64_DIGITS = 19
PYTHON_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
PYTHON_DAYS = (-719_162, 2_932_896)
"""Years 1 to 9999, from 1970."""


def join_columns(chunks: Sequence[pa.Array], wish: Any) -> pa.ChunkedArray:  # noqa: ANN401 - a pyarrow DataType
    """The chunks as one column; `wish` is its type when there is no value to tell."""
    types = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
    if not types:
        return pa.chunked_array(
            [chunk.cast(wish or pa.null()) for chunk in chunks], wish or pa.null()
        )
    common = next(iter(types)) if len(types) == 1 else common_type(types)
    try:
        column = pa.chunked_array([chunk.cast(common) for chunk in chunks], common)
    except pa.ArrowException:
        column = pa.chunked_array([as_text(chunk) for chunk in chunks], pa.string())
    return whole_numbers(column)


def common_type(types: set[pa.DataType]) -> pa.DataType:
    """A type that can hold all of them exactly, else text."""
    if all(pa.types.is_integer(kind) for kind in types):
        return pa.decimal128(20, 0)
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in types):
        return pa.float64()
    if all(pa.types.is_integer(kind) or pa.types.is_decimal(kind) for kind in types):
        return common_decimal(types)
    return pa.string()


def common_decimal(types: set[pa.DataType]) -> pa.DataType:
    decimals = [kind for kind in types if pa.types.is_decimal(kind)]
    scale = max(kind.scale for kind in decimals)
    digits = max(kind.precision - kind.scale for kind in decimals)
    if len(decimals) < len(types):
        digits = max(digits, INT64_DIGITS)
    precision = digits + scale
    if precision > 76:
        return pa.string()
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimals without a fraction as integers where they fit: engines give sums of integers as decimals."""
    if not pa.types.is_decimal(column.type) or column.type.scale != 0:
        return column
    try:
        return column.cast(pa.int64())
    except pa.ArrowException:
        return column


def as_text(chunk: pa.Array) -> pa.Array:
    return pa.array([text(value) for value in chunk.to_pylist()], type=pa.string())


def plain_arrow(column: pa.Array) -> pa.Array:
    """A column of an engine that speaks Arrow, in the types the rest of databot knows."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return as_text(column)
    if pa.types.is_dictionary(kind):
        return plain_arrow(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        instants = pc.cast(column, pa.timestamp("us", "UTC" if kind.tz else None), safe=False)
        return representable(instants, instants.cast(pa.int64()), PYTHON_MICROSECONDS)
    if pa.types.is_date32(kind):
        return representable(column, column.cast(pa.int32()), PYTHON_DAYS)
    if pa.types.is_interval(kind) or pa.types.is_duration(kind) or pa.types.is_nested(kind):
        return column if is_flat_list(kind) else as_text(column)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column


def representable(column: pa.Array, numbers: pa.Array, span: tuple[int, int]) -> pa.Array:
    """The dates as they are, or as text when one is infinite or outside the years Python knows."""
    inside = pc.and_(pc.greater_equal(numbers, span[0]), pc.less_equal(numbers, span[1]))
    if pc.all(inside).as_py() is not False:
        return column
    known = pc.if_else(inside, column, pa.scalar(None, column.type)).cast(pa.string())
    beyond = pc.if_else(pc.greater(numbers, 0), "after year 9999", "before year 1")
    return pc.if_else(inside, known, beyond)


def is_flat_list(kind: pa.DataType) -> bool:
    listed = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    return listed and not pa.types.is_nested(kind.value_type)
