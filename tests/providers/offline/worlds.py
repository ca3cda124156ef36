"""Databases the analyst has never seen, made anew for a test, with their rows as Python values to compute with."""

import random
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.providers.offline.world import Execute, Source

Row = dict[str, Any]
START = datetime.fromisoformat("2023-01-01T00:00:00")
"""Without a zone, as the databases here keep their times."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A connector with its rows by table."""

    source: Source
    rows: dict[str, list[Row]]


def sqlite_source(name: str, connection: sqlite3.Connection) -> Source:
    def execute(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()

    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    tables = [sqlite_table(connection, table) for (table,) in names]
    return Source(name=name, dialect="sqlite", tables=tables, execute=execute)


def sqlite_table(connection: sqlite3.Connection, name: str) -> Row:
    quoted = name.replace('"', '""')
    keys = {
        row[3]: f"fk {row[2]}.{row[4] or 'id'}"
        for row in connection.execute(f'PRAGMA foreign_key_list("{quoted}")')
    }
    columns = [
        [row[1], row[2], keys.get(row[1], "pk" if row[5] else "")]
        for row in connection.execute(f'PRAGMA table_info("{quoted}")')
    ]
    (count,) = connection.execute(f'SELECT COUNT(*) FROM "{quoted}"').fetchone()
    return {"name": name, "rows": count, "comment": "", "columns": columns}


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    marks = ", ".join("?" for _ in rows[0])
    connection.executemany(
        f'INSERT INTO "{table}" VALUES ({marks})', [tuple(r.values()) for r in rows]
    )


SHOP_SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, country TEXT, city TEXT, is_active INTEGER, signup_date TEXT);
CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, category_id INTEGER REFERENCES categories(id), price REAL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), status TEXT, ordered_at TEXT);
CREATE TABLE order_items (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders(id),
    product_id INTEGER REFERENCES products(id), quantity INTEGER, unit_price REAL);
"""


def shop_rows(today: date) -> dict[str, list[Row]]:
    pick = random.Random(7)
    countries = ["Germany", "France", "United States", "Spain"]
    customers = [
        {
            "id": n,
            "name": f"{pick.choice(['Ada', 'Bob', 'Cyd', 'Dee'])} {pick.choice(['Kern', 'Lund', 'Moss'])} {n}",
            "country": pick.choice(countries),
            "city": pick.choice(["Berlin", "Lyon", "Austin"]),
            "is_active": int(n % 3 != 0),
            "signup_date": (date(2022, 1, 1) + timedelta(days=n * 17)).isoformat(),
        }
        for n in range(1, 41)
    ]
    categories = [{"id": n, "name": x} for n, x in enumerate(["Books", "Electronics", "Toys"], 1)]
    products = [
        {
            "id": n,
            "name": f"Product {n}",
            "category_id": pick.randint(1, 3),
            "price": pick.randint(500, 30000) / 100,
        }
        for n in range(1, 21)
    ]
    orders = [
        {
            "id": n,
            "customer_id": pick.randint(1, 36),
            "status": pick.choice(["shipped", "cancelled", "pending", "in_progress"]),
            "ordered_at": (today - timedelta(days=pick.randint(0, 700))).isoformat() + " 12:30:00",
        }
        for n in range(1, 401)
    ]
    items = [
        {
            "id": n,
            "order_id": pick.randint(1, 400),
            "product_id": pick.randint(1, 18),
            "quantity": pick.randint(1, 5),
            "unit_price": pick.randint(500, 30000) / 100,
        }
        for n in range(1, 1201)
    ]
    return {
        "customers": customers,
        "categories": categories,
        "products": products,
        "orders": orders,
        "order_items": items,
    }


def shop(today: date) -> tuple[World, sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(SHOP_SCHEMA)
    rows = shop_rows(today)
    for table, content in rows.items():
        insert(connection, table, content)
    return World(source=sqlite_source("shop", connection), rows=rows), connection


HOSPITAL_SCHEMA = (
    "CREATE TABLE departments (department_id INTEGER PRIMARY KEY, department_name VARCHAR(40))",
    """CREATE TABLE doctors (doctor_id INTEGER PRIMARY KEY, first_name VARCHAR(40), last_name VARCHAR(40),
    department_id INTEGER REFERENCES departments(department_id), salary NUMERIC(10, 2), hired_on DATE)""",
    """CREATE TABLE patients (patient_id INTEGER PRIMARY KEY, full_name VARCHAR(40), gender VARCHAR(10),
    blood_type VARCHAR(4), birth_date DATE, insured BOOLEAN)""",
    """CREATE TABLE appointments (appointment_id INTEGER PRIMARY KEY,
    patient_id INTEGER REFERENCES patients(patient_id), doctor_id INTEGER REFERENCES doctors(doctor_id),
    scheduled_at TIMESTAMP, status VARCHAR(20), fee NUMERIC(10, 2), notes VARCHAR(100))""",
)


def hospital_rows() -> dict[str, list[Row]]:
    pick = random.Random(11)
    names = ["Cardiology", "Oncology", "Paediatrics"]
    departments = [{"department_id": n, "department_name": name} for n, name in enumerate(names, 1)]
    doctors = [
        {
            "doctor_id": n,
            "first_name": pick.choice(["Iris", "Jon", "Kim"]),
            "last_name": f"Stone{n}",
            "department_id": pick.randint(1, 3),
            "salary": pick.randint(60, 180) * 1000,
            "hired_on": date(2010, 1, 1) + timedelta(days=n * 200),
        }
        for n in range(1, 16)
    ]
    patients = [
        {
            "patient_id": n,
            "full_name": f"Pat Reed {n}",
            "gender": pick.choice(["female", "male"]),
            "blood_type": pick.choice(["A", "B", "AB", "0"]),
            "birth_date": date(1950, 1, 1) + timedelta(days=pick.randint(0, 20000)),
            "insured": pick.random() < 0.7,
        }
        for n in range(1, 61)
    ]
    appointments = [
        {
            "appointment_id": n,
            "patient_id": pick.randint(1, 55),
            "doctor_id": pick.randint(1, 14),
            "scheduled_at": START + timedelta(days=pick.randint(0, 900), hours=pick.randint(0, 8)),
            "status": pick.choice(["completed", "no-show", "cancelled"]),
            "fee": pick.randint(40, 400),
            "notes": "" if pick.random() < 0.5 else None,
        }
        for n in range(1, 301)
    ]
    return {
        "departments": departments,
        "doctors": doctors,
        "patients": patients,
        "appointments": appointments,
    }


HOSPITAL_KEYS = {
    ("doctors", "department_id"): "fk departments.department_id",
    ("appointments", "patient_id"): "fk patients.patient_id",
    ("appointments", "doctor_id"): "fk doctors.doctor_id",
}


def hospital_tables(rows: dict[str, list[Row]]) -> list[Row]:
    """The hospital's catalog, read from its own DDL."""
    tables: list[Row] = []
    for statement in HOSPITAL_SCHEMA:
        name, _, body = statement.removeprefix("CREATE TABLE ").partition(" (")
        columns = [list(column_of(name, part.split())) for part in parts_of(body.rstrip(")"))]
        tables.append({"name": name, "rows": len(rows[name]), "comment": "", "columns": columns})
    return tables


def column_of(table: str, words: Sequence[str]) -> tuple[str, str, str]:
    note = "pk" if "PRIMARY" in words else ""
    return words[0], words[1].rstrip(","), HOSPITAL_KEYS.get((table, words[0]), note)


def parts_of(body: str) -> Iterable[str]:
    """The column definitions; a comma inside brackets parts none."""
    depth, start = 0, 0
    for at, character in enumerate(body):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield body[start:at].strip()
            start = at + 1
    yield body[start:].strip()


def hospital_source(dialect: str, execute: Execute, rows: dict[str, list[Row]]) -> World:
    source = Source(name="clinic", dialect=dialect, tables=hospital_tables(rows), execute=execute)
    return World(source=source, rows=rows)


TELEMETRY_SCHEMA = """
CREATE TABLE Device (DeviceId INTEGER PRIMARY KEY, DeviceName TEXT, DeviceType TEXT, SiteId INTEGER);
CREATE TABLE Site (SiteId INTEGER PRIMARY KEY, SiteName TEXT, Region TEXT);
CREATE TABLE SensorReading (ReadingId INTEGER PRIMARY KEY, DeviceId INTEGER, RecordedAt TIMESTAMP, Temperature REAL, Humidity REAL);
CREATE TABLE fact_events (event_id INTEGER PRIMARY KEY, device_id INTEGER, event_type TEXT, severity TEXT, event_time DATETIME, duration_ms INTEGER);
"""


def telemetry_rows() -> dict[str, list[Row]]:
    pick = random.Random(5)
    sites = [
        {"SiteId": n, "SiteName": name, "Region": region}
        for n, (name, region) in enumerate(
            [("Hamburg Port", "north"), ("Munich Hub", "south"), ("Kiel Yard", "north")], 1
        )
    ]
    devices = [
        {
            "DeviceId": n,
            "DeviceName": f"dev-{n:02d}",
            "DeviceType": pick.choice(["thermostat", "camera"]),
            "SiteId": pick.randint(1, 3),
        }
        for n in range(1, 13)
    ]
    readings = [
        {
            "ReadingId": n,
            "DeviceId": pick.randint(1, 12),
            "RecordedAt": (
                START.replace(year=2024, month=3) + timedelta(minutes=pick.randint(0, 60 * 24 * 40))
            ).isoformat(" "),
            "Temperature": pick.randint(150, 300) / 10,
            "Humidity": pick.randint(20, 80),
        }
        for n in range(1, 501)
    ]
    events = [
        {
            "event_id": n,
            "device_id": pick.randint(1, 12),
            "event_type": pick.choice(["restart", "alarm", "update_check"]),
            "severity": pick.choice(["low", "high", "critical"]),
            "event_time": (
                START.replace(year=2024) + timedelta(hours=pick.randint(0, 24 * 120))
            ).isoformat(" "),
            "duration_ms": pick.randint(10, 9000),
        }
        for n in range(1, 301)
    ]
    return {"Device": devices, "Site": sites, "SensorReading": readings, "fact_events": events}


def telemetry() -> tuple[World, sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(TELEMETRY_SCHEMA)
    rows = telemetry_rows()
    for table, content in rows.items():
        insert(connection, table, content)
    return World(source=sqlite_source("telemetry", connection), rows=rows), connection
