"""Values of clients that Arrow does not take as they are, and columns whose pieces disagree."""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from databot.connectors.sql.values import plain
from databot.connectors.sql.widen import common_type, plain_arrow


@dataclass(frozen=True, kw_only=True)
class Range:
    """A range as a client for PostgreSQL gives it."""

    lower: Any = None
    upper: Any = None
    lower_inc: bool = True
    upper_inc: bool = False
    isempty: bool = False


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime.date(2024, 2, 29), datetime.date(2024, 2, 29)),
        (bytearray(b"\x00\xff"), b"\x00\xff"),
        (memoryview(b"ab"), b"ab"),
        ([1, Decimal("NaN"), [None]], [1, "NaN", [None]]),
        (Range(lower=1, upper=5), "[1,5)"),
        (Range(upper=5, lower_inc=False, upper_inc=True), "(,5]"),
        (Range(isempty=True), "empty"),
    ],
)
def test_a_value_becomes_what_arrow_or_a_person_can_take(value: object, expected: object) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({pa.int64(), pa.uint64()}, pa.decimal128(20, 0)),
        ({pa.int64(), pa.float64()}, pa.float64()),
        ({pa.int64(), pa.decimal128(10, 2)}, pa.decimal128(21, 2)),
        ({pa.decimal256(70, 0), pa.decimal256(70, 30)}, pa.string()),
        ({pa.int64(), pa.string()}, pa.string()),
    ],
)
def test_pieces_of_a_column_meet_in_a_type_that_holds_them_all(
    types: set[pa.DataType], expected: pa.DataType
) -> None:
    assert common_type(types) == expected


def test_a_type_arrow_was_taught_by_an_engine_is_told_as_text() -> None:
    storage = pa.array([b"0123456789abcdef"], type=pa.binary(16))
    column = pa.ExtensionArray.from_storage(pa.uuid(), storage)
    told = plain_arrow(column)
    assert told.type == pa.string()
    assert told.to_pylist() == ["30313233-3435-3637-3839-616263646566"]
