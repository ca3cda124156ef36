"""Rows into Arrow: limits, types that do not fit, names."""

import datetime
import json
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.connectors.base import QueryLimits
from databot.connectors.sql.arrow import Intake, intake_of, simplified, unique_names
from databot.connectors.sql.driver import Rows

WIDE = QueryLimits(max_rows=100_000, max_bytes=10**9, timeout_s=1)


def taken(chunks: list[list[Any]], types: list[Any] | None = None) -> pa.ChunkedArray:
    intake = Intake(["x"], WIDE, types)
    for chunk in chunks:
        intake.add_rows([(value,) for value in chunk])
    return intake.finish().table.column("x")


def stream(values: list[str], max_rows: int, max_bytes: int) -> Rows:
    """What a driver does: fetch what is wanted until there is no more or it is enough."""
    intake = Intake(["x"], QueryLimits(max_rows=max_rows, max_bytes=max_bytes, timeout_s=1))
    place = 0
    while wanted := intake.wanted:
        chunk = values[place : place + wanted]
        place += len(chunk)
        intake.add_rows([(value,) for value in chunk])
        if len(chunk) < wanted:
            break
    return intake.finish()


@given(st.integers(0, 400), st.integers(1, 300))
def test_the_row_limit_is_exact_and_truncation_is_known(rows: int, limit: int) -> None:
    result = stream(["v"] * rows, limit, 10**9)
    assert result.table.num_rows == min(rows, limit)
    assert result.truncated_by == ("rows" if rows > limit else "")


@given(st.lists(st.text(max_size=40), max_size=120), st.integers(1, 2000))
def test_the_byte_limit_is_never_passed(values: list[str], limit: int) -> None:
    result = stream(values, 10**6, limit)
    assert result.table.nbytes <= limit + 8 * len(values)
    kept = result.table.column("x").to_pylist()
    assert kept == [text.encode("utf-8", "replace").decode() for text in values[: len(kept)]]
    assert (len(kept) < len(values)) == (result.truncated_by == "bytes")


@pytest.mark.parametrize(
    ("chunks", "kind", "values"),
    [
        ([[1, 2], [None]], "int64", [1, 2, None]),
        ([[None], [2.5]], "double", [None, 2.5]),
        ([[1], [2.5]], "double", [1.0, 2.5]),
        ([[2**53 + 1], [0.5]], "string", [str(2**53 + 1), "0.5"]),
        ([[1, "a"]], "string", ["1", "a"]),
        ([[1], ["a"]], "string", ["1", "a"]),
        ([[2**70]], "string", [str(2**70)]),
        ([[2**63 - 1]], "int64", [2**63 - 1]),
        ([[True, None]], "bool", [True, None]),
        ([[Decimal("1.50")], [Decimal("22.125")]], "decimal128(5, 3)", [Decimal("1.500"), Decimal("22.125")]),
        ([[Decimal("7")], [5]], "int64", [7, 5]),
        ([[Decimal(10) ** 25]], "decimal128(26, 0)", [Decimal(10) ** 25]),
        ([[Decimal("NaN"), Decimal(1)]], "string", ["NaN", "1"]),
        ([[b"\x00\xff"]], "binary", [b"\x00\xff"]),
        ([[uuid.UUID(int=1)]], "string", [str(uuid.UUID(int=1))]),
        ([[datetime.timedelta(hours=-30, microseconds=5)]], "string", ["-29:59:59.999995"]),
        ([[[1, 2], None]], "list<item: int64>", [[1, 2], None]),
        ([[[1, "a"]]], "string", ['[1, "a"]']),
        ([[{"a": 1}]], "string", ['{"a": 1}']),
        ([["\ud800"]], "string", ["?"]),
        ([[]], "null", []),
    ],
)  # fmt: skip
def test_values_find_a_type_that_loses_nothing(
    chunks: list[list[Any]], kind: str, values: list[Any]
) -> None:
    column = taken(chunks)
    assert (str(column.type), column.to_pylist()) == (kind, values)


def test_times_with_a_zone_become_utc() -> None:
    east = datetime.timezone(datetime.timedelta(hours=2))
    column = taken([[datetime.datetime(2024, 1, 1, 12, tzinfo=east)]])
    assert str(column.type) == "timestamp[us, tz=UTC]"
    assert column.to_pylist() == [datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC)]


def test_a_declared_type_gives_way_to_values_it_cannot_hold() -> None:
    assert taken([["0000-00-00"]], [pa.date32()]).to_pylist() == ["0000-00-00"]
    assert str(taken([[None], []], [pa.date32()]).type) == "date32[day]"


def test_names_are_unique_filled_and_never_stolen() -> None:
    assert unique_names(["n", "n", "n_2", "", "n"]) == ["n", "n_3", "n_2", "column_4", "n_4"]


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "", "b"]), max_size=12))
def test_any_names_become_unique(names: list[str]) -> None:
    unique = unique_names(names)
    assert len(set(unique)) == len(unique) == len(names)
    assert all(unique)


def test_an_engines_own_arrow_types_become_plain_ones() -> None:
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(["x", "y"]).dictionary_encode(),
            pa.array([{"a": 1}, None]),
            pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            pa.array([[1], None], pa.list_(pa.int64())),
            pa.array([1, 2**62], pa.timestamp("us")),
            pa.array([-(2**30), 0], pa.date32()),
            pa.array([1, None], pa.duration("s")),
            pa.array(["a", None], pa.large_string()),
        ],
        names=list("abcdefgh"),
    )
    plain = simplified(batch)
    assert [str(field.type) for field in plain.schema] == [
        "string", "string", "string", "list<item: int64>", "string", "string", "string", "string",
    ]  # fmt: skip
    assert json.loads(plain.column("b")[0].as_py()) == {"a": 1}
    assert plain.column("e").to_pylist()[1] == "after year 9999"
    assert plain.column("f").to_pylist() == ["before year 1", "1970-01-01"]
    assert plain.column("g").to_pylist() == ["00:00:01", None]
    intake = intake_of(batch.schema, WIDE)
    intake.add(plain)
    assert intake.finish().table.num_rows == 2
