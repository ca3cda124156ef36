"""The same small shop in four real databases, for every test of SQL connectors."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from databot.connectors.sql.address import parse_address
from databot.connectors.sql.config import SqlConfig
from databot.connectors.sql.connector import SQLConnector
from databot.types.clock import Clock

ENGINES = ("sqlite", "duckdb", "postgres", "mysql")
BIG = 9007199254740993
"""2^53 + 1: the first integer a float cannot hold."""

TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL, country VARCHAR(2), vip BOOLEAN, created DATE);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount DECIMAL(10,2), status VARCHAR(20),
  placed TIMESTAMP, note TEXT, big BIGINT, FOREIGN KEY (customer_id) REFERENCES customers (id));
CREATE TABLE items (order_id INTEGER, line INTEGER, product VARCHAR(40), qty INTEGER, price DECIMAL(10,2),
  PRIMARY KEY (order_id, line), FOREIGN KEY (order_id) REFERENCES orders (id));
CREATE TABLE numbers (n INTEGER, txt VARCHAR(200));
CREATE VIEW paid_orders AS SELECT id, amount FROM orders WHERE status = 'paid'
"""
ROWS = f"""
INSERT INTO customers VALUES (1, 'Zoë Ångström', 'SE', TRUE, '2023-01-05'), (2, '李雷', 'CN', FALSE, '2023-02-10'),
  (3, 'O''Brien', 'IE', NULL, NULL);
INSERT INTO orders VALUES (1, 1, 19.99, 'paid', '2024-01-01 10:00:00', NULL, {BIG}),
  (2, 1, 5.01, 'open', '2024-01-02 11:30:00', 'gift 🎁', 2), (3, 2, 100.00, 'paid', '2024-02-03 00:00:00', '', 3),
  (4, 3, 0.10, 'void', '2024-02-29 23:59:59', 'x', 4);
INSERT INTO items VALUES (1, 1, 'tea', 2, 5.00), (1, 2, 'cup', 1, 9.99), (2, 1, 'tea', 1, 5.01), (3, 1, 'pot', 4, 25.00)
"""
COMMENTS = {
    "duckdb": "COMMENT ON TABLE customers IS 'People who buy'; COMMENT ON COLUMN customers.country IS 'ISO code'",
    "postgres": "COMMENT ON TABLE customers IS 'People who buy'; COMMENT ON COLUMN customers.country IS 'ISO code'; ANALYZE",
    "mysql": "ALTER TABLE customers COMMENT = 'People who buy';"
    " ALTER TABLE customers MODIFY country VARCHAR(2) COMMENT 'ISO code'",
}
FILLING = {
    "sqlite": "INSERT INTO numbers WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000)"
    " SELECT x, printf('%0100d', x) FROM c",
    "duckdb": "INSERT INTO numbers SELECT range, lpad(range::VARCHAR, 100, '0') FROM range(1, 5001)",
    "postgres": "INSERT INTO numbers SELECT g, lpad(g::text, 100, '0') FROM generate_series(1, 5000) g",
    "mysql": "INSERT INTO numbers SELECT seq, LPAD(seq, 100, '0') FROM seq_1_to_5000",
}
ENDLESS = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) AS endless FROM c",
    "duckdb": "SELECT count(*) AS endless FROM range(100000000) a, range(1000000) b WHERE a.range <> b.range",
    "postgres": "SELECT count(*) AS endless FROM generate_series(1, 100000000) a, generate_series(1, 1000) b",
    "mysql": "SELECT count(*) AS endless FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq <> b.seq",
}
"""Statements that pass the guard and would run for hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """One database with the shop in it; `schema` is where its tables are."""

    engine: str
    url: str
    schema: str

    def config(self, **options: Any) -> SqlConfig:  # noqa: ANN401 - options of the connector
        return SqlConfig.model_validate(
            {"type": "sql", "url": self.url, "schemas": self.schemas(), **options}
        )

    def schemas(self) -> list[str]:
        return [self.schema] if self.engine == "postgres" else []

    @asynccontextmanager
    async def connected(
        self,
        clock: Clock | None = None,
        **options: Any,  # noqa: ANN401 - options of the connector
    ) -> AsyncGenerator[SQLConnector]:
        connector = SQLConnector("shop", self.config(**options), clock)
        try:
            yield connector
        finally:
            await connector.aclose()

    def name(self, table: str) -> str:
        """The table's name as the catalog tells it."""
        return f"{self.schema}.{table}" if self.schema else table


def statements(engine: str) -> list[str]:
    tables = TABLES.replace("TIMESTAMP", "DATETIME") if engine == "mysql" else TABLES
    script = f"{tables};{ROWS};{FILLING[engine]};{COMMENTS.get(engine, '')}"
    return [statement.strip() for statement in script.split(";") if statement.strip()]


@contextmanager
def shop_in_sqlite(folder: Path) -> Generator[Shop]:
    path = folder / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements("sqlite"):
            connection.execute(statement)
        connection.commit()
    yield Shop(engine="sqlite", url=f"sqlite:///{path}", schema="")


@contextmanager
def shop_in_duckdb(folder: Path) -> Generator[Shop]:
    import duckdb

    path = folder / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        for statement in statements("duckdb"):
            connection.execute(statement)
    yield Shop(engine="duckdb", url=f"duckdb:///{path}", schema="main")


@contextmanager
def shop_in_postgres(url: str) -> Generator[Shop]:
    schema = f"shop_{uuid4().hex[:8]}"
    run_now(
        postgres_admin(
            url, f"CREATE SCHEMA {schema}", f"SET search_path = {schema}", *statements("postgres")
        )
    )
    yield Shop(engine="postgres", url=f"{url}?search_path={schema}", schema=schema)
    run_now(postgres_admin(url, f"DROP SCHEMA {schema} CASCADE"))


@contextmanager
def shop_in_mysql(url: str) -> Generator[Shop]:
    schema = f"shop_{uuid4().hex[:8]}"
    run_now(
        mysql_admin(
            url,
            f"CREATE DATABASE {schema} CHARACTER SET utf8mb4",
            f"USE {schema}",
            *statements("mysql"),
        )
    )
    yield Shop(engine="mysql", url=f"{url.rpartition('/')[0]}/{schema}", schema=schema)
    run_now(mysql_admin(url, f"DROP DATABASE {schema}"))


async def postgres_admin(url: str, *script: str) -> list[tuple[Any, ...]]:
    """Run statements with the administrator's rights; the rows of the last."""
    import asyncpg

    connection = await asyncpg.connect(url, timeout=10)
    try:
        rows: list[Any] = []
        for statement in script:
            rows = await connection.fetch(statement)
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


async def mysql_admin(url: str, *script: str) -> list[tuple[Any, ...]]:
    """Run statements with the administrator's rights; the rows of the last."""
    import asyncmy

    address = parse_address(url)
    connection = await asyncmy.connect(
        host=address.host,
        port=address.port or 3306,
        user=address.user or "",
        password=address.password or "",
        database=address.database,
        autocommit=True,
    )
    try:
        rows: list[tuple[Any, ...]] = []
        async with connection.cursor() as cursor:
            for statement in script:
                await cursor.execute(statement)
                rows = list(await cursor.fetchall()) if cursor.description else []
        return rows
    finally:
        await connection.ensure_closed()


def run_now(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the work gives
    """Run a coroutine to its end outside the test's loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result(60)
