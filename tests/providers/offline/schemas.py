"""Small databases with the schemas people really have: imports without keys or types, names cut to consonants."""

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from tests.providers.offline.world import Source
from tests.providers.offline.worlds import sqlite_source


@contextmanager
def made(schema: str, rows: Mapping[str, Sequence[tuple[object, ...]]]) -> Generator[Source]:
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

DESK_SCHEMA = """
CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT, born_on DATE);
CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, category TEXT, list_price REAL);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, agent_id INTEGER REFERENCES agents(id), status TEXT, quality INTEGER,
    firmware TEXT, value REAL, opened_at TEXT, closed_at TEXT, shipped_at TEXT);
CREATE TABLE ticket_items (id INTEGER PRIMARY KEY, ticket_id INTEGER REFERENCES tickets(id),
    good_id INTEGER REFERENCES goods(id), unit_price REAL);
CREATE TABLE pulses (id INTEGER PRIMARY KEY, agent_id INTEGER, qty INTEGER, ordered_at INTEGER, year INTEGER);
"""
DESK_ROWS: dict[str, Sequence[tuple[object, ...]]] = {
    "agents": [(1, "Ann", "1980-01-01"), (2, "Bo", "1990-01-01"), (3, "Cy", "1995-01-01")],
    "goods": [(1, "Cup", "ware", 4.0), (2, "Pot", "ware", 9.5), (3, "Tea", "food", 2.5)],
    "tickets": [
        (1, 1, "open", 0, "1.0.2", 5.0, "2025-01-05", None, None),
        (2, 1, "shipped", 1, "2.0.0-rc1", 7.0, "2025-02-05", "2025-02-06", "2025-02-06"),
        (3, 2, "shipped", 2, "1.0.2", 1.0, "2025-02-07", "2025-02-09", "2025-02-08"),
        (4, 2, "lost", 2, "1.1.0", 2.0, "2026-02-07", "2026-02-09", None),
        (5, 2, "pending", 1, "1.0.2", 3.0, "2026-03-07", None, None),
    ],
    "ticket_items": [(1, 1, 1, 3.0), (2, 1, 2, 9.0), (3, 2, 3, 2.0), (4, 5, 3, 2.5)],
    "pulses": [
        (1, 1, 4, 1_736_553_600, 2030),
        (2, 1, 5, 1_737_417_600, 2031),
        (3, 2, 7, 1_769_000_000, 2031),
    ],
}
"""A help desk with the words of questions in its names, and with a time kept as seconds since 1970."""
