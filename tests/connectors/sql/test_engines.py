"""What is particular to one engine: its types, its comments about the session, its escape hatch."""

import datetime
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from databot.connectors.base import CallContext, HealthState
from databot.connectors.sql.catalog import Catalog
from databot.connectors.sql.config import SqlConfig
from databot.connectors.sql.connector import SQLConnector
from databot.connectors.sql.driver import Driver, Pong, Rows
from databot.types.errors import ConfigError, ConnectorError, QueryRefused
from tests.connectors.databases import Shop, mysql_admin, postgres_admin

WHO = CallContext(session_id="s7", principal_id="o'hara")
POSTGRES_VALUES = """
SELECT 1::smallint AS small, 2.5::real AS real, 'x'::char(3) AS padded, NULL::int AS missing, true AS yes,
  1234567890123456789012345678901234567890.5::numeric AS huge, 'NaN'::numeric AS nan, 12.30::money AS money,
  '2024-02-29'::date AS day, 'infinity'::timestamp AS forever, '2024-01-01 10:00+02'::timestamptz AS moment,
  time '10:00' AS clock, timetz '10:00+02' AS zoned, interval '1 mon 2 days' AS span, '\\x00ff'::bytea AS raw,
  '{"a": 1}'::jsonb AS doc, '00000000-0000-0000-0000-000000000001'::uuid AS id, '10.0.0.0/8'::cidr AS net,
  ARRAY[1, 2] AS list, ARRAY['a', NULL] AS words, ARRAY[ARRAY[1, 2], ARRAY[3, 4]] AS matrix, int4range(1, 3) AS span_of,
  B'101' AS bits, ROW(1, 'a') AS pair, point(1, 2) AS spot, '<a/>'::xml AS markup, 'a & b'::tsquery AS search
"""


async def first_row(shop: Shop, sql: str) -> dict[str, Any]:
    async with shop.connected() as source:
        return (await source.query(sql, WHO)).table.to_pylist()[0]


@pytest.mark.service
async def test_every_postgres_type_arrives(postgres_shop: Shop) -> None:
    row = await first_row(postgres_shop, POSTGRES_VALUES)
    assert row == {
        "small": 1, "real": 2.5, "padded": "x  ", "missing": None, "yes": True,
        "huge": Decimal("1234567890123456789012345678901234567890.5"), "nan": "NaN", "money": "$12.30",
        "day": datetime.date(2024, 2, 29), "forever": datetime.datetime.max,  # noqa: DTZ901 - the column has no zone
        "moment": datetime.datetime(2024, 1, 1, 8, tzinfo=UTC), "clock": datetime.time(10),
        "zoned": "10:00:00+02:00", "span": "1 mon 2 days", "raw": b"\x00\xff", "doc": '{"a": 1}',
        "id": "00000000-0000-0000-0000-000000000001", "net": "10.0.0.0/8", "list": [1, 2],
        "words": ["a", None], "matrix": [[1, 2], [3, 4]], "span_of": "[1,3)", "bits": "101",
        "pair": '[1, "a"]', "spot": [1.0, 2.0], "markup": "<a/>", "search": "'a' & 'b'",
    }  # fmt: skip


@pytest.mark.service
async def test_a_date_python_cannot_hold_is_told_with_what_to_do(postgres_shop: Shop) -> None:
    async with postgres_shop.connected(pool_size=1) as source:
        with pytest.raises(ConnectorError, match="cannot be read") as caught:
            await source.query("SELECT '0044-03-15 BC'::date AS ides", WHO)
        assert "cast the column to text" in caught.value.hint
        result = await source.query("SELECT ('0044-03-15 BC'::date)::text AS ides", WHO)
    assert result.table.to_pylist() == [{"ides": "0044-03-15 BC"}]


@pytest.mark.service
async def test_the_postgres_session_is_pinned_and_named(postgres_shop: Shop) -> None:
    names = "application_name default_transaction_read_only transaction_read_only standard_conforming_strings"
    asked = ", ".join(f"current_setting('{name}') AS {name}" for name in names.split())
    assert await first_row(postgres_shop, f"SELECT {asked}") == {
        "application_name": "databot/s7/o_hara", "default_transaction_read_only": "on",
        "transaction_read_only": "on", "standard_conforming_strings": "on",
    }  # fmt: skip


@pytest.mark.service
async def test_partitions_are_one_table_and_foreign_secrets_are_none(
    postgres_url: str, postgres_shop: Shop
) -> None:
    schema = postgres_shop.schema
    await postgres_admin(
        postgres_url,
        f"CREATE TABLE {schema}.days (d date) PARTITION BY RANGE (d)",
        f"CREATE TABLE {schema}.days_1 PARTITION OF {schema}.days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
    )
    try:
        async with postgres_shop.connected() as source:
            tables = [table.name for table in await source.list_tables()]
    finally:
        await postgres_admin(postgres_url, f"DROP TABLE {schema}.days")
    assert "days" in tables
    assert "days_1" not in tables


@pytest.mark.service
async def test_every_mysql_type_arrives(mysql_shop: Shop, mysql_url: str) -> None:
    table = f"{mysql_shop.schema}.kinds"
    await mysql_admin(
        mysql_url,
        f"CREATE TABLE {table} (tiny TINYINT, huge BIGINT UNSIGNED, money DECIMAL(20,4), whole DECIMAL(20,0), single FLOAT, "
        "day DATE, moment DATETIME(6), clock TIME, year YEAR, bits BIT(3), raw BLOB, words TEXT, choice ENUM('a','b'), "
        "many SET('x','y'), doc JSON, missing INT)",
        f"INSERT INTO {table} VALUES (-1, 18446744073709551615, 1.5, 7, 2.5, '2024-02-29', '2024-01-01 10:00:00.5', '-838:59:59', "
        "2024, b'101', x'00ff', 'é', 'b', 'x,y', '{\"a\": 1}', NULL)",
    )
    try:
        row = await first_row(mysql_shop, "SELECT * FROM kinds")
        empty = await first_row(mysql_shop, "SELECT CAST('0000-00-00' AS DATE) AS zero")
    finally:
        await mysql_admin(mysql_url, f"DROP TABLE {table}")
    assert row == {
        "tiny": -1, "huge": "18446744073709551615", "money": Decimal("1.5000"), "whole": 7, "single": 2.5,
        "day": datetime.date(2024, 2, 29), "moment": datetime.datetime(2024, 1, 1, 10, 0, 0, 500000),  # noqa: DTZ001 - the column has no zone
        "clock": "-838:59:59", "year": 2024, "bits": 5, "raw": b"\x00\xff", "words": "é", "choice": "b",
        "many": "x,y", "doc": '{"a": 1}', "missing": None,
    }  # fmt: skip
    assert empty["zero"] in (None, "0000-00-00")


@pytest.mark.service
async def test_the_mysql_session_is_pinned(mysql_shop: Shop) -> None:
    row = await first_row(
        mysql_shop, "SELECT @@tx_read_only AS ro, @@sql_mode AS mode, @@max_statement_time AS s"
    )
    assert (row["ro"], row["s"]) == (1, 30.0)
    assert "ANSI_QUOTES" not in row["mode"]


async def test_every_duckdb_type_arrives(duckdb_shop: Shop) -> None:
    row = await first_row(
        duckdb_shop,
        "SELECT 1::HUGEINT AS h, 170141183460469231731687303715884105727::HUGEINT AS hh, 1.5::DECIMAL(10,2) AS d, "
        "'a'::ENUM ('a', 'b') AS e, INTERVAL 1 MONTH AS i, [1, 2] AS l, {'a': 1} AS s, MAP {'k': 1} AS m, "
        "'00000000-0000-0000-0000-000000000001'::UUID AS u, TIMESTAMP 'infinity' AS f, DATE '2024-02-29' AS day, "
        "'ab'::BLOB AS b, NULL AS n, 18446744073709551615::UBIGINT AS ub, TIME '10:00' AS t",
    )
    assert row["h"] == 1
    assert str(row["hh"]) == "170141183460469231731687303715884105727"
    assert (row["d"], row["e"], row["l"], row["n"]) == (Decimal("1.50"), "a", [1, 2], None)
    assert (row["u"], row["f"]) == ("00000000-0000-0000-0000-000000000001", "after year 9999")
    assert (row["day"], row["b"], row["t"]) == (
        datetime.date(2024, 2, 29),
        b"ab",
        datetime.time(10),
    )
    assert (row["s"], row["ub"]) == ('{"a": 1}', 18446744073709551615)
    assert isinstance(row["i"], str)
    assert isinstance(row["m"], str)


async def test_a_duckdb_pivot_over_all_values_works_or_says_what_to_write(
    duckdb_shop: Shop,
) -> None:
    import duckdb

    async with duckdb_shop.connected() as source:
        pivot = source.query("PIVOT orders ON status USING sum(amount)", WHO)
        if int(duckdb.__version__.partition(".")[0]) >= 2:
            assert "paid" in (await pivot).table.column_names
        else:  # it becomes several statements there, and only one may run
            with pytest.raises(ConnectorError, match="not listed with IN"):
                await pivot


async def test_sqlite_text_that_is_not_utf8_is_shown_and_keys_without_target_find_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            "CREATE TABLE a (k INTEGER PRIMARY KEY, v); CREATE TABLE b (a_k REFERENCES a, v ANY);"
            "INSERT INTO a VALUES (1, CAST(x'ff41' AS TEXT)), (2, 5), (3, 2.5), (4, x'00')"
        )
    shop = Shop(engine="sqlite", url=f"sqlite:///{path}", schema="")
    async with shop.connected() as source:
        values = (await source.query("SELECT v FROM a ORDER BY k", WHO)).table.to_pylist()
        keys = (await source.describe_table("b")).foreign_keys
    assert [row["v"] for row in values] == ["\ufffdA", "5", "2.5", "\x00"]
    assert (keys[0].to_table, keys[0].to_columns) == ("a", ("k",))


async def test_a_write_ahead_log_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "wal.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)"
        )
        shop = Shop(engine="sqlite", url=f"sqlite:///{path}", schema="")
        row = await first_row(shop, "SELECT a FROM t")
    assert row == {"a": 1}


def hatch(path: Path, **options: Any) -> SQLConnector:  # noqa: ANN401 - options of the connector
    url = f"sqlalchemy+sqlite:///{path}"
    return SQLConnector("shop", SqlConfig.model_validate({"type": "sql", "url": url, **options}))


async def test_the_escape_hatch_passes_the_options_of_its_url_on(tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    source = hatch(Path(f"file:{path}?mode=ro&uri=true"), allow_unverified_read_only=True)
    with pytest.raises(ConnectorError, match="unable to open database file"):
        await source.query("SELECT 1 AS one", WHO)
    assert not path.exists()  # without mode=ro SQLite makes the file
    await source.aclose()


async def test_the_escape_hatch_wants_the_operators_word_and_then_works(sqlite_shop: Shop) -> None:
    path = Path(sqlite_shop.url.removeprefix("sqlite:///"))
    with pytest.raises(ConfigError, match="cannot make sqlite itself refuse writes") as caught:
        hatch(path)
    assert "allow_unverified_read_only" in caught.value.hint
    source = hatch(path, allow_unverified_read_only=True, max_rows=3)
    try:
        result = await source.query("SELECT n FROM numbers ORDER BY n", WHO)
        assert (result.table.num_rows, result.truncated_by) == (3, "rows")
        assert [table.name for table in await source.list_tables()] == [
            "customers", "items", "numbers", "orders", "paid_orders",
        ]  # fmt: skip
        orders = await source.describe_table("orders")
        assert orders.foreign_keys[0].to_table == "customers"
        assert orders.columns[0].primary_key
        assert (await source.sample("customers", WHO, 1)).table.num_rows == 1
        assert (await source.health()).state is HealthState.DEGRADED
        with pytest.raises(QueryRefused):
            await source.query("DELETE FROM orders", WHO)
        with pytest.raises(ConnectorError, match="no such table: nowhere"):
            await source.query("SELECT * FROM nowhere", WHO)
    finally:
        await source.aclose()


async def test_the_escape_hatch_stops_what_it_can_interrupt(sqlite_shop: Shop) -> None:
    path = Path(sqlite_shop.url.removeprefix("sqlite:///"))
    source = hatch(path, read_only=False, timeout_s=0.3)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
    try:
        with pytest.raises(ConnectorError) as caught:
            await source.query(endless, WHO)
        assert caught.value.kind == "timeout"
    finally:
        await source.aclose()


class Counting(Driver):
    """A driver without tables that counts how often it is asked for them."""

    def __init__(self) -> None:
        self.dialect = "sqlite"
        self.looks = 0

    async def run(self, statement: str, limits: object, label: str) -> Rows:
        raise NotImplementedError

    async def introspect(self, timeout_s: float) -> Sequence[Any]:
        self.looks += 1
        return ()

    async def ping(self, timeout_s: float) -> Pong:
        raise NotImplementedError

    async def aclose(self) -> None: ...


class HeldClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


async def test_the_catalog_is_looked_up_once_until_it_is_old() -> None:
    import asyncio

    driver, clock = Counting(), HeldClock()
    catalog = Catalog(driver, clock, ttl_s=300, timeout_s=5)
    await asyncio.gather(*(catalog.tables() for _ in range(5)))
    clock.seconds += 299
    await catalog.tables()
    assert driver.looks == 1
    clock.seconds += 1
    await catalog.tables()
    assert driver.looks == 2
