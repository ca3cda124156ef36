"""Exports hold every value as it was, and nothing a spreadsheet would run."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from pyarrow import parquet

from databot.tools.export import ExportTool
from databot.tools.files import MEDIA_TYPES, disarmed, file_name, to_bytes, to_csv, to_xlsx
from databot.tools.registry import ToolRegistry
from databot.types.errors import InvalidToolArguments, ToolError
from tests.tools.kit import AWKWARD, CONTEXT, Bench, FixedSource, tool_call

EVIL = ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "plain", "", None]


def sheet_of(data: bytes) -> Sequence[Sequence[object]]:
    book = load_workbook(io.BytesIO(data))
    rows = [[cell.value for cell in row] for row in book["result"].iter_rows()]
    book.close()
    return rows


async def export(bench: Bench, **arguments: str) -> str:
    call = tool_call("export", json.dumps({"sql": "SELECT * FROM orders", **arguments}))
    tools = ToolRegistry([ExportTool(bench.services.connectors, bench.store, bench.clock)])
    result = await tools.call(call, CONTEXT)
    assert result.artifacts == (bench.artifact.ref,)
    assert result.evidence[0].artifact_id == bench.artifact.ref.id
    return result.content


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
async def test_a_query_becomes_a_file_with_all_its_rows(bench: Bench, form: str) -> None:
    told = await export(bench, format=form, name="all orders")
    kept = bench.artifact
    assert kept.ref.name == f"all orders.{form}"
    assert kept.ref.media_type == MEDIA_TYPES[form]  # pyright: ignore[reportArgumentType] - a test of every format
    assert told.startswith(f"Saved 3 rows as all orders.{form}")
    rows = {
        "csv": lambda data: list(csv.reader(io.StringIO(data.decode()))),
        "xlsx": sheet_of,
        "parquet": lambda data: [
            ["id", "customer_id", "amount"],
            *map(
                list, zip(*parquet.read_table(io.BytesIO(data)).to_pydict().values(), strict=True)
            ),
        ],
    }[form](kept.data)
    assert [[str(value) for value in row] for row in rows[1:2]] in (
        [["1", "2", "10.0"]],
        [["1", "2", "10"]],
    )
    assert len(rows) == 4


async def test_a_cut_result_says_that_the_file_is_not_whole() -> None:
    bench = Bench([FixedSource(pa.table({"n": [1]}), truncated=True)])
    assert "the database has more rows than the file" in await export(bench, format="csv")


async def test_an_unknown_format_is_told_with_the_known_ones(bench: Bench) -> None:
    with pytest.raises(InvalidToolArguments, match="'csv', 'xlsx' or 'parquet'"):
        await export(bench, format="docx")


def test_text_a_spreadsheet_would_run_is_disarmed_in_csv_and_numbers_are_left_alone() -> None:
    table = pa.table({"=evil": EVIL, "n": [-1.5, -2, 3, 4, 5, 6, 7, 8, None]})
    header, *rows = csv.reader(io.StringIO(to_csv(table).decode(), newline=""))
    assert header == ["'=evil", "n"]
    assert [row[0] for row in rows] == [
        "'=cmd|'/c calc'!A1",
        "'+1+1",
        "'-2+3",
        "'@SUM(A1)",
        "'\t=1",
        "'\r=1",
        "plain",
        "",
        "",
    ]
    assert rows[0][1] == "-1.5"


def test_text_a_spreadsheet_would_run_stays_text_in_xlsx() -> None:
    book = load_workbook(io.BytesIO(to_xlsx(pa.table({"=evil": EVIL}))))
    cells = [row[0] for row in book["result"].iter_rows()]
    assert {cell.data_type for cell in cells if cell.value is not None} <= {"s", "inlineStr"}
    assert cells[1].value == EVIL[0]
    assert cells[1].quotePrefix
    book.close()


def test_xlsx_keeps_numbers_and_times_and_writes_what_excel_would_change_as_text() -> None:
    table = pa.table(
        {
            "whole": [7],
            "money": pa.array([Decimal("12.50")]),
            "long": pa.array([Decimal("12345678901234567.89")]),
            "big": pa.array([2**60]),
            "day": pa.array([date(2024, 5, 1)]),
            "old": pa.array([date(1600, 1, 1)]),
            "at": pa.array([datetime(2024, 5, 1, 10)], pa.timestamp("us")),  # noqa: DTZ001 - as databases give it
            "zone": pa.array([0], pa.timestamp("us", "UTC")),
            "nan": [float("nan")],
            "flag": [True],
            "bell": ["a\x07b"],
            "long_text": ["x" * 40_000],
        }
    )
    names, row = sheet_of(to_xlsx(table))
    kept = dict(zip(names, row, strict=True))
    assert len(str(kept.pop("long_text"))) == 32_767
    assert kept == {
        "whole": 7,
        "money": 12.5,
        "long": "12345678901234567.89",
        "big": str(2**60),
        "day": datetime(2024, 5, 1),  # noqa: DTZ001 - spreadsheets know no zones
        "old": "1600-01-01",
        "at": datetime(2024, 5, 1, 10),  # noqa: DTZ001 - spreadsheets know no zones
        "zone": "1970-01-01T00:00:00+00:00",
        "nan": None,
        "flag": True,
        "bell": "ab",
    }


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_every_kind_of_value_and_no_rows_at_all_can_be_written(form: str) -> None:
    for table in (AWKWARD, AWKWARD.slice(0, 0), pa.table({"a": pa.array([], pa.int64())})):
        assert to_bytes(table, form)  # pyright: ignore[reportArgumentType] - a test of every format


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("orders 2024", "orders 2024.csv"),
        ("orders.csv", "orders.csv"),
        ("../../etc/passwd", "etc_passwd.csv"),
        ("", "result.csv"),
        ("...", "result.csv"),
        ("a\r\nb\0c", "a_b_c.csv"),
        ("größe", "größe.csv"),
        ("x" * 300, f"{'x' * 80}.csv"),
    ],
)
def test_a_file_name_is_harmless(wish: str, name: str) -> None:
    assert file_name(wish, "csv") == name


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_no_text_reaches_a_csv_cell_as_a_formula(values: list[str]) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(pa.table({"c": values})).decode(), newline="")))
    assert [row[0] if row else "" for row in rows[1:]] == [disarmed(value) for value in values]
    assert not any(row and row[0].startswith(("=", "+", "-", "@")) for row in rows)


def test_a_result_no_sheet_can_hold_is_refused_with_another_way() -> None:
    wide = pa.table({f"c{n}": [1] for n in range(16_385)})
    with pytest.raises(ToolError, match="at most") as caught:
        to_xlsx(wide)
    assert "csv" in caught.value.hint


def test_a_type_parquet_cannot_hold_is_told() -> None:
    table = pa.table({"x": pa.array([pa.MonthDayNano([1, 2, 3])])})
    with pytest.raises(ToolError, match="Parquet cannot hold"):
        to_bytes(table, "parquet")


def test_without_a_database_there_is_no_such_tool() -> None:
    assert ExportTool.create(Bench([]).services) is None
