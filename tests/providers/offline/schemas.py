"""Small databases with the schemas people really have: imports without keys or types, names cut to consonants."""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from tests.providers.offline.world import Source
from tests.providers.offline.worlds import sqlite_source


@contextmanager
def made(schema: str, rows: dict[str, Sequence[tuple[object, ...]]]) -> Generator[Source]:
    """A SQLite database of this schema with these rows, as a connector called `lib`."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(schema)
    for table, content in rows.items():
        marks = ", ".join("?" for _ in content[0])
        connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', content)
    yield sqlite_source("lib", connection)
    connection.close()


CSV_SCHEMA = """
CREATE TABLE "sales" ("Order ID" TEXT, "Order Date" TEXT, "Customer Name" TEXT, "Region" TEXT, "Sales" TEXT,
    "Unit Price" TEXT, "Remark" TEXT, "Year" TEXT);
"""
CSV_ROWS: dict[str, Sequence[tuple[object, ...]]] = {
    "sales": [
        ("A-1", "2025-09-01", "Cy Ito", "East", "558.08", "10", "3", "2025"),
        ("A-2", "2026-10-03", "Cy Ito", "North", "1363.68", "9", "n/a", "2026"),
        ("A-3", "2026-10-19", "Ann Lee", "North", "13.5", "100", "2", "2026"),
        ("A-4", "2026-11-19", "Bo Ray", "South", "", "9", "", "2026"),
    ]
}
"""As an import of a CSV file makes it: no key, and every column is text."""

WARD_SCHEMA = """
CREATE TABLE TBL_PAT (PAT_ID INTEGER PRIMARY KEY, FNAME TEXT, LNAME TEXT, DOB DATE, SEX_CD TEXT);
CREATE TABLE TBL_DEPT_MST (DEPT_CD TEXT PRIMARY KEY, DEPT_NM TEXT);
CREATE TABLE TBL_PHYS (PHYS_ID INTEGER PRIMARY KEY, PHYS_NM TEXT, DEPT_CD TEXT REFERENCES TBL_DEPT_MST(DEPT_CD), HIRE_DT DATE);
CREATE TABLE TBL_VST_HDR (VST_NO INTEGER PRIMARY KEY, PAT_ID INTEGER REFERENCES TBL_PAT(PAT_ID),
    PHYS_ID INTEGER REFERENCES TBL_PHYS(PHYS_ID), ADM_DTTM TEXT, DSCHG_DTTM TEXT, VST_TYP_CD TEXT,
    TOT_CHRG_AMT REAL, LOS_DAYS INTEGER);
CREATE TABLE TBL_DX (DX_ID INTEGER PRIMARY KEY, VST_NO INTEGER REFERENCES TBL_VST_HDR(VST_NO), DX_DESC TEXT);
"""
WARD_ROWS: dict[str, Sequence[tuple[object, ...]]] = {
    "TBL_PAT": [
        (1, "Anna", "Abel", "1950-02-03", "F"),
        (2, "Bert", "Diaz", "1970-05-06", "M"),
        (3, "Cleo", "Fox", "2001-07-08", "F"),
    ],
    "TBL_DEPT_MST": [("CAR", "Cardiology"), ("NEU", "Neurology"), ("ONC", "Oncology")],
    "TBL_PHYS": [
        (1, "Dr. Eve Gray", "CAR", "2001-01-01"),
        (2, "Dr. Finn Hill", "CAR", "2016-01-01"),
        (3, "Dr. Gus Ito", "NEU", "2017-01-01"),
    ],
    "TBL_VST_HDR": [
        (1, 1, 1, "2025-01-05 10:00:00", "2025-01-07 10:00:00", "IP", 100.0, 2),
        (2, 1, 1, "2025-03-05 10:00:00", "2025-03-06 10:00:00", "OP", 250.5, 1),
        (3, 2, 2, "2026-01-05 10:00:00", None, "IP", 1000.0, 9),
        (4, 3, 3, "2026-02-05 10:00:00", "2026-02-09 10:00:00", "ED", 40.0, 4),
    ],
    "TBL_DX": [(1, 1, "Epilepsy"), (2, 2, "Pneumonia"), (3, 3, "Epilepsy")],
}
"""A hospital's system of record: names cut to their consonants, times kept as text."""
