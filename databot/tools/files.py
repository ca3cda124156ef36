"""A result as a file: CSV, XLSX or Parquet, as bytes.

Text a spreadsheet would run as a formula is disarmed in the two formats spreadsheets open; Parquet keeps every value
as it is. Everything here blocks: callers run it in a thread. Knows no connector and no store.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from databot.tools.cells import EXACT_INTEGER, plain, rows_of, text
from databot.types.errors import ToolError

if TYPE_CHECKING:
    import pyarrow as pa
    from openpyxl.cell.cell import Cell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

FileFormat = Literal["csv", "xlsx", "parquet"]
MEDIA_TYPES: Mapping[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
XLSX_ROWS = 1_048_575
XLSX_COLUMNS = 16_384
XLSX_TEXT = 32_767
XLSX_DIGITS = 15
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
NOT_IN_NAMES = re.compile(r"[^\w .()-]+")


def to_bytes(table: "pa.Table", form: FileFormat) -> bytes:
    """The table as a file of that format; raises `ToolError` when the format cannot hold it."""
    writers: Mapping[FileFormat, Callable[[pa.Table], bytes]] = {
        "csv": to_csv,
        "xlsx": to_xlsx,
        "parquet": to_parquet,
    }
    return writers[form](table)


def file_name(wish: str, form: str) -> str:
    """A harmless file name close to the wish; a name for people, never a path."""
    stem = NOT_IN_NAMES.sub("_", wish.removesuffix(f".{form}")).strip(" ._")
    return f"{stem[:80] or 'result'}.{form}"


def disarmed(value: str) -> str:
    """Text no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(FORMULA_START) else value


def to_csv(table: "pa.Table") -> bytes:
    """RFC 4180 in UTF-8, header first; NULL and the empty string are both an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([disarmed(name) for name in table.column_names])
    writer.writerows(rows_of(table, _csv_cell))
    return out.getvalue().encode("utf-8", "replace")


def _csv_cell(value: Any) -> str:  # noqa: ANN401 - any value of any database
    written = text(value)
    return written if isinstance(value, int | float | Decimal) else disarmed(written)


def to_parquet(table: "pa.Table") -> bytes:
    """Apache Parquet, with the types of the result."""
    import pyarrow as pa
    from pyarrow import parquet

    out = pa.BufferOutputStream()
    try:
        parquet.write_table(table, out)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ToolError(
            "a column of this result has a type Parquet cannot hold", hint="cast it, or use csv"
        ) from error
    return out.getvalue().to_pybytes()


def to_xlsx(table: "pa.Table") -> bytes:
    """One sheet, header first. Numbers of more than 15 digits and times with a zone are text: Excel would change them."""
    from openpyxl import Workbook

    if table.num_rows > XLSX_ROWS or table.num_columns > XLSX_COLUMNS:
        raise ToolError(
            f"an XLSX sheet holds at most {XLSX_ROWS:,} rows and {XLSX_COLUMNS:,} columns",
            hint="use csv or parquet",
        )
    book = Workbook(write_only=True)
    sheet: WriteOnlyWorksheet = book.create_sheet("result")
    sheet.append([_xlsx_text(sheet, name) for name in table.column_names])
    for row in rows_of(table, lambda value: value):
        sheet.append([_xlsx_cell(sheet, value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _xlsx_cell(sheet: "WriteOnlyWorksheet", value: Any) -> Any:  # noqa: ANN401 - what openpyxl takes
    if _fits_excel(value):
        return float(value) if isinstance(value, Decimal) else value
    whole = plain(value)
    return None if whole is None else _xlsx_text(sheet, text(value))


def _fits_excel(value: Any) -> bool:  # noqa: ANN401 - any value of any database
    if isinstance(value, Decimal):
        return value.is_finite() and len(value.as_tuple().digits) <= XLSX_DIGITS
    if isinstance(value, float):
        return plain(value) is not None
    if isinstance(value, int):
        return abs(value) <= min(EXACT_INTEGER, 10**XLSX_DIGITS)
    if isinstance(value, date):
        return getattr(value, "tzinfo", None) is None and value.year >= 1900
    return isinstance(value, time) and value.tzinfo is None


def _xlsx_text(sheet: "WriteOnlyWorksheet", value: str) -> "Cell":
    """A text cell that stays text, whatever it begins with."""
    from openpyxl.cell import WriteOnlyCell

    written = WriteOnlyCell(sheet, NOT_IN_XML.sub("", value)[:XLSX_TEXT])
    written.data_type = "s"
    written.quotePrefix = value.startswith(FORMULA_START)
    return written
