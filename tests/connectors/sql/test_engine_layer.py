"""The engines' own read-only layers, proven with the guard out of the way: statements go straight to the driver."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from databot.connectors.base import CallContext, QueryLimits
from databot.connectors.sql.address import parse_address
from databot.connectors.sql.driver import Driver, Rows, Target
from databot.connectors.sql.engines import make_driver
from databot.types.errors import ConnectorError
from tests.connectors.databases import Shop
from tests.connectors.sql.test_guard import benign

LIMITS = QueryLimits(max_rows=1000, max_bytes=10**7, timeout_s=5)
COUNT = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM customers), (SELECT min(name) FROM customers)"
WRITES = (
    "INSERT INTO customers (id, name) VALUES (9, 'x')",
    "UPDATE customers SET name = 'x'",
    "DELETE FROM items",
    "DROP TABLE items",
    "DROP VIEW paid_orders",
    "CREATE TABLE made (a INT)",
    "CREATE VIEW made AS SELECT 1",
    "CREATE INDEX made ON orders (status)",
    "ALTER TABLE orders ADD COLUMN made INT",
    "SELECT 1; DELETE FROM items",
)
ESCAPES = {
    "sqlite": (
        "ATTACH DATABASE '{folder}/evil.db' AS evil",
        "PRAGMA query_only = 0",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "VACUUM INTO '{folder}/evil.db'",
        "VACUUM",
        "CREATE TEMP TABLE made (a INT)",
        "SELECT load_extension('x')",
        "SELECT zeroblob(1000000000)",
        "UPDATE sqlite_master SET sql = ''",
        "BEGIN IMMEDIATE",
    ),
    "duckdb": (
        "COPY orders TO '{folder}/evil.csv'",
        "EXPORT DATABASE '{folder}/evil'",
        "ATTACH '{folder}/evil.db'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '9GB'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SELECT * FROM duckdb_secrets()",
        "CREATE SECRET s (TYPE s3)",
    ),
    "postgres": (
        "TRUNCATE items",
        "CREATE SEQUENCE made",
        "CREATE FUNCTION made() RETURNS int AS 'select 1' LANGUAGE sql",
        "GRANT SELECT ON orders TO public",
        "SET TRANSACTION READ WRITE",
        "WITH gone AS (DELETE FROM items RETURNING *) SELECT count(*) FROM gone",
        "SELECT * FROM orders FOR UPDATE",
        "VACUUM",
        "REFRESH MATERIALIZED VIEW x",
        "SELECT lo_unlink(1)",
    ),
    "mysql": (
        "TRUNCATE items",
        "REPLACE INTO customers (id, name) VALUES (9, 'x')",
        "RENAME TABLE items TO made",
        "SELECT 1; SELECT 2",
        "CREATE DATABASE made",
        "CREATE USER made",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE numbers",
    ),
}
"""Must fail. `{folder}` is empty before and after."""
UNLOCKS = {
    "postgres": (
        "COMMIT",
        "ROLLBACK",
        "SET default_transaction_read_only = off",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "BEGIN",
    ),
    "mysql": (
        "COMMIT",
        "SET SESSION TRANSACTION READ WRITE",
        "SET SESSION tx_read_only = 0",
        "START TRANSACTION READ WRITE",
        "SET SESSION sql_mode = 'ANSI_QUOTES'",
        "SET autocommit = 0",
    ),
    "sqlite": ("SELECT 1",),
    "duckdb": ("BEGIN", "COMMIT"),
}
"""May pass or fail, but the next write on the same connection must still be refused."""


@asynccontextmanager
async def driver_of(shop: Shop, *, read_only: bool = True) -> AsyncGenerator[Driver]:
    target = Target(name="shop", address=parse_address(shop.url), pool_size=1, read_only=read_only)
    driver = make_driver(target, allow_unverified=False)
    try:
        yield driver
    finally:
        await driver.aclose()


async def state(driver: Driver) -> list[object]:
    rows = await driver.run(COUNT, LIMITS, "test")
    return list(rows.table.to_pylist()[0].values())


async def attempt(driver: Driver, sql: str) -> Rows | ConnectorError:
    try:
        return await driver.run(sql, LIMITS, "test")
    except ConnectorError as error:
        return error


@pytest.mark.parametrize("sql", WRITES)
async def test_the_engine_refuses_every_write(any_shop: Shop, sql: str) -> None:
    async with driver_of(any_shop) as driver:
        before = await state(driver)
        outcome = await attempt(driver, sql)
        assert isinstance(outcome, ConnectorError)
        assert outcome.kind in ("read_only", "bad_request")
        assert await state(driver) == before


async def test_the_engine_refuses_every_known_escape(any_shop: Shop, tmp_path: Path) -> None:
    async with driver_of(any_shop) as driver:
        before = await state(driver)
        passed = [
            sql
            for sql in ESCAPES[any_shop.engine]
            if isinstance(await attempt(driver, sql.format(folder=tmp_path)), Rows)
        ]
        assert await state(driver) == before
    assert passed == []
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - an empty folder in a test


async def test_no_statement_unlocks_the_next_one(any_shop: Shop) -> None:
    async with driver_of(any_shop) as driver:
        before = await state(driver)
        for unlock in UNLOCKS[any_shop.engine]:
            await attempt(driver, unlock)
            for write in WRITES[:3] + WRITES[5:6]:
                assert isinstance(await attempt(driver, write), ConnectorError), (unlock, write)
        assert await state(driver) == before


async def test_without_read_only_the_guard_still_stands(any_shop: Shop) -> None:
    async with any_shop.connected(read_only=False) as connector:
        result = await connector.query("SELECT count(*) AS c FROM orders", CallContext())
        assert result.table.to_pylist() == [{"c": 4}]


async def test_every_benign_statement_runs_on_its_engine(any_shop: Shop) -> None:
    failed: list[str] = []
    async with any_shop.connected() as connector:
        for sql in benign(any_shop.engine):
            try:
                result = await connector.query(sql, CallContext())
            except ConnectorError as error:
                failed.append(f"{sql}: {error}")
            else:
                assert result.table.num_columns > 0
    assert failed == []
