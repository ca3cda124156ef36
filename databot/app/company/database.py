"""Writes the demo company to an SQLite file, whole or not at all."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path

from databot.app.company.rows import Company, Row, make_company

SCHEMA = """
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  country TEXT NOT NULL,
  segment TEXT NOT NULL,
  signed_up_on DATE NOT NULL
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  list_price NUMERIC NOT NULL,
  active INTEGER NOT NULL
);
CREATE TABLE employees (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  team TEXT NOT NULL,
  hired_on DATE NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  status TEXT NOT NULL,
  sales_channel TEXT NOT NULL,
  ordered_at TIMESTAMP NOT NULL,
  shipped_at TIMESTAMP
);
CREATE TABLE order_items (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  unit_price NUMERIC NOT NULL
);
CREATE TABLE support_tickets (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  order_id INTEGER REFERENCES orders (id),
  employee_id INTEGER NOT NULL REFERENCES employees (id),
  subject TEXT NOT NULL,
  priority TEXT NOT NULL,
  status TEXT NOT NULL,
  opened_at TIMESTAMP NOT NULL,
  closed_at TIMESTAMP
);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX orders_by_time ON orders (ordered_at);
CREATE INDEX order_items_by_order ON order_items (order_id);
CREATE INDEX order_items_by_product ON order_items (product_id);
"""


def stamp(today: date) -> int:
    """The day as SQLite's `user_version`: which day the data reaches up to."""
    return today.year * 10_000 + today.month * 100 + today.day


def is_current(path: Path, today: date) -> bool:
    """Whether the file is a demo database that reaches up to `today`."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        return False
    return version == stamp(today)


def write_database(path: Path, today: date) -> Mapping[str, int]:
    """Write the company's rows to a new file and put it in place of `path`; gives the rows of each table."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        counts = fill(fresh, make_company(today), stamp(today))
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return counts


def fill(path: Path, company: Company, version: int) -> Mapping[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA synchronous = OFF; {SCHEMA}")
        with connection:
            for table, rows in tables(company).items():
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
        connection.execute("ANALYZE")
        connection.execute(f"PRAGMA user_version = {version:d}")
        connection.commit()
    return {table: len(rows) for table, rows in tables(company).items()}


def tables(company: Company) -> Mapping[str, list[Row]]:
    """The rows by table name, parents first."""
    return {
        "customers": company.customers,
        "products": company.products,
        "employees": company.employees,
        "orders": company.orders,
        "order_items": company.order_items,
        "support_tickets": company.support_tickets,
    }
