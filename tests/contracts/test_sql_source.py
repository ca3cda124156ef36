"""What every SQL connector promises, on real databases."""

import asyncio
import datetime
import threading
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from databot.connectors.base import CallContext, HealthState, QueryLimits, QueryResult, SqlSource
from databot.connectors.sql.connector import SQLConnector
from databot.types.errors import ConnectorError, QueryRefused
from tests.connectors.databases import BIG, ENDLESS, Shop
from tests.connectors.shops import any_shop, duckdb_shop, mysql_shop, postgres_shop, sqlite_shop

__all__ = ["any_shop", "duckdb_shop", "mysql_shop", "postgres_shop", "sqlite_shop"]
WHO = CallContext(session_id="s1", principal_id="ada")


@pytest.fixture
async def source(any_shop: Shop) -> AsyncIterator[SQLConnector]:
    async with any_shop.connected() as connector:
        yield connector


def column(result: QueryResult, name: str) -> list[Any]:
    return result.table.column(name).to_pylist()


def names(items: Sequence[Any]) -> list[str]:
    return [item.name for item in items]


def test_it_is_a_sql_source(any_shop: Shop) -> None:
    assert isinstance(SQLConnector("shop", any_shop.config()), SqlSource)


async def test_a_query_gives_the_rows_and_the_statement_that_ran(source: SQLConnector) -> None:
    result = await source.query("SELECT name, country FROM customers ORDER BY id -- all;", WHO)
    assert result.table.to_pylist() == [
        {"name": "Zoë Ångström", "country": "SE"},
        {"name": "李雷", "country": "CN"},
        {"name": "O'Brien", "country": "IE"},
    ]
    assert result.statement == "SELECT name, country FROM customers ORDER BY id"
    assert (result.truncated, result.truncated_by) == (False, "")
    assert result.elapsed_ms > 0


async def test_null_is_not_the_empty_text_and_emoji_survive(source: SQLConnector) -> None:
    result = await source.query("SELECT note FROM orders ORDER BY id", WHO)
    assert column(result, "note") == [None, "gift 🎁", "", "x"]


async def test_integers_beyond_two_to_the_53_keep_every_digit(source: SQLConnector) -> None:
    result = await source.query("SELECT big FROM orders WHERE id = 1", WHO)
    assert column(result, "big") == [BIG]


async def test_sums_of_money_are_exact_where_the_engine_is(
    source: SQLConnector, any_shop: Shop
) -> None:
    result = await source.query("SELECT sum(amount) AS total FROM orders", WHO)
    exact = any_shop.engine != "sqlite"
    assert column(result, "total") == [Decimal("125.10") if exact else pytest.approx(125.10)]


async def test_a_sum_of_integers_is_an_integer(source: SQLConnector) -> None:
    result = await source.query("SELECT sum(qty) AS pieces FROM items", WHO)
    assert column(result, "pieces") == [8]
    assert str(result.table.schema.field("pieces").type) == "int64"


async def test_dates_and_times_are_typed_where_the_engine_types_them(
    source: SQLConnector, any_shop: Shop
) -> None:
    result = await source.query("SELECT created FROM customers ORDER BY id", WHO)
    dated = [datetime.date(2023, 1, 5), datetime.date(2023, 2, 10), None]
    written = ["2023-01-05", "2023-02-10", None]
    assert column(result, "created") == (written if any_shop.engine == "sqlite" else dated)


async def test_columns_of_one_name_are_told_apart(source: SQLConnector) -> None:
    result = await source.query(
        "SELECT id AS n, id AS n, id AS n_2 FROM customers WHERE id = 1", WHO
    )
    assert result.table.column_names == ["n", "n_3", "n_2"]


async def test_an_empty_result_still_has_its_columns(source: SQLConnector) -> None:
    result = await source.query("SELECT id, name FROM customers WHERE id < 0", WHO)
    assert (result.table.column_names, result.table.num_rows) == (["id", "name"], 0)


async def test_a_result_over_the_row_limit_is_cut_and_says_so(any_shop: Shop) -> None:
    async with any_shop.connected(max_rows=1234) as source:
        result = await source.query("SELECT n FROM numbers ORDER BY n", WHO)
        assert column(result, "n") == list(range(1, 1235))
        assert (result.truncated, result.truncated_by) == (True, "rows")
        again = await source.query("SELECT count(*) AS c FROM numbers", WHO)
        assert column(again, "c") == [5000]


async def test_a_result_of_exactly_the_limit_is_whole(any_shop: Shop) -> None:
    async with any_shop.connected(max_rows=5000) as source:
        result = await source.query("SELECT n FROM numbers", WHO)
    assert (result.table.num_rows, result.truncated) == (5000, False)


async def test_a_result_over_the_byte_limit_is_cut_and_says_so(any_shop: Shop) -> None:
    async with any_shop.connected(max_bytes=20_000, max_rows=5000) as source:
        result = await source.query("SELECT n, txt FROM numbers ORDER BY n", WHO)
        assert (result.truncated, result.truncated_by) == (True, "bytes")
        assert 0 < result.table.nbytes <= 20_000
        assert 100 < result.table.num_rows < 200
        assert column(await source.query("SELECT 1 AS one", WHO), "one") == [1]


async def test_a_callers_own_limit_on_rows_in_sql_is_kept(source: SQLConnector) -> None:
    result = await source.query("SELECT n FROM numbers ORDER BY n LIMIT 3 OFFSET 1", WHO)
    assert (column(result, "n"), result.truncated) == ([2, 3, 4], False)


async def test_a_caller_may_lower_the_limits_and_not_raise_them(any_shop: Shop) -> None:
    lower = QueryLimits(max_rows=2, max_bytes=10_000, timeout_s=5)
    higher = QueryLimits(max_rows=4000, max_bytes=10**9, timeout_s=500)
    async with any_shop.connected(max_rows=10) as source:
        few = await source.query("SELECT n FROM numbers", WHO, lower)
        many = await source.query("SELECT n FROM numbers", WHO, higher)
    assert (few.table.num_rows, many.table.num_rows) == (2, 10)


async def test_a_slow_query_is_stopped_at_the_limit_and_the_next_one_works(any_shop: Shop) -> None:
    async with any_shop.connected(timeout_s=0.3, pool_size=1) as source:
        with pytest.raises(ConnectorError, match=r"shop: .*stopped") as caught:
            await source.query(ENDLESS[any_shop.engine], WHO)
        assert caught.value.kind == "timeout"
        quick = QueryLimits(max_rows=10, max_bytes=10_000, timeout_s=0.3)
        assert (await source.query("SELECT 1 AS one", WHO, quick)).table.num_rows == 1


async def test_a_cancelled_query_frees_its_connection(any_shop: Shop) -> None:
    async with any_shop.connected(pool_size=1, pool_wait_s=20) as source:
        task = asyncio.ensure_future(source.query(ENDLESS[any_shop.engine], WHO))
        await until_busy(source)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = await source.query("SELECT 1 AS one", WHO)
    assert column(result, "one") == [1]


async def until_busy(source: SQLConnector) -> None:
    """Wait until the only connection is taken, which its health tells."""
    async with asyncio.timeout(10):
        while (await source.health()).state is not HealthState.DEGRADED or "busy" not in (
            await source.health()
        ).detail:
            pass


async def test_the_loop_runs_on_while_a_query_runs(any_shop: Shop) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async with any_shop.connected(timeout_s=0.5) as source:
        await source.query("SELECT 1 AS one", WHO)
        ticker = asyncio.ensure_future(tick())
        with pytest.raises(ConnectorError):
            await source.query(ENDLESS[any_shop.engine], WHO)
        ticker.cancel()
    assert ticks > 200


async def test_waiting_for_a_connection_is_not_a_slow_query(any_shop: Shop) -> None:
    async with any_shop.connected(pool_size=1, pool_wait_s=0.1) as source:
        task = asyncio.ensure_future(source.query(ENDLESS[any_shop.engine], WHO))
        await until_busy(source)
        with pytest.raises(ConnectorError, match="all 1 connections are busy") as caught:
            await source.query("SELECT 1 AS one", WHO)
        task.cancel()
        await asyncio.wait({task})
    assert (caught.value.kind, caught.value.retryable) == ("unavailable", True)


async def test_many_queries_share_a_few_connections(any_shop: Shop) -> None:
    async with any_shop.connected(pool_size=2) as source:
        results = await asyncio.gather(*(source.query(f"SELECT {n} AS n", WHO) for n in range(12)))
    assert [column(result, "n")[0] for result in results] == list(range(12))


async def test_the_schemas_are_those_with_data(source: SQLConnector, any_shop: Shop) -> None:
    assert list(await source.list_schemas()) == ([any_shop.schema] if any_shop.schema else [])


async def test_tables_and_views_are_listed_in_name_order(
    source: SQLConnector, any_shop: Shop
) -> None:
    tables = await source.list_tables()
    assert names(tables) == ["customers", "items", "numbers", "orders", "paid_orders"]
    assert [table.kind for table in tables] == ["table"] * 4 + ["view"]
    assert await source.list_tables("no_such_schema") == ()
    assert {table.schema for table in tables} == {any_shop.schema}


async def test_a_table_is_described_with_its_keys(source: SQLConnector, any_shop: Shop) -> None:
    items, orders = await source.describe_table("items"), await source.describe_table("orders")
    assert names(items.columns) == ["order_id", "line", "product", "qty", "price"]
    assert [part.primary_key for part in items.columns] == [True, True, False, False, False]
    assert len(orders.foreign_keys) == 1
    key = orders.foreign_keys[0]
    assert (key.columns, key.to_table, key.to_columns) == (("customer_id",), "customers", ("id",))
    assert key.to_schema == any_shop.schema
    name = next(
        part for part in (await source.describe_table("customers")).columns if part.name == "name"
    )
    assert not name.nullable
    assert "char" in name.type.lower()


async def test_comments_and_row_estimates_are_told_where_there_are_any(
    source: SQLConnector, any_shop: Shop
) -> None:
    customers = await source.describe_table("customers")
    if any_shop.engine == "sqlite":  # which keeps neither
        assert (customers.table.comment, customers.table.row_estimate) == ("", None)
        return
    assert customers.table.comment == "People who buy"
    assert {part.name: part.comment for part in customers.columns}["country"] == "ISO code"
    estimate = (await source.describe_table("numbers")).table.row_estimate
    assert estimate is not None
    assert 4000 < estimate < 6000


@pytest.mark.parametrize("written", ["customers", "CUSTOMERS", '"customers"', "`Customers`"])
async def test_a_table_is_found_however_it_is_written(source: SQLConnector, written: str) -> None:
    assert (await source.describe_table(written)).table.name == "customers"


async def test_a_table_is_found_by_its_qualified_name(source: SQLConnector, any_shop: Shop) -> None:
    info = await source.describe_table(any_shop.name("orders").upper())
    assert info.table.qualified == any_shop.name("orders")


async def test_an_unknown_table_is_told_with_the_nearest_names(
    source: SQLConnector, any_shop: Shop
) -> None:
    with pytest.raises(ConnectorError, match="there is no table 'custmers'") as caught:
        await source.describe_table("custmers")
    assert caught.value.kind == "not_found"
    assert any_shop.name("customers") in caught.value.hint


async def test_a_sample_is_the_first_rows(source: SQLConnector) -> None:
    result = await source.sample("Orders", WHO, rows=2)
    assert result.table.num_rows == 2
    assert result.table.column_names[0] == "id"


async def test_a_plan_is_text_and_nothing_runs(any_shop: Shop) -> None:
    async with any_shop.connected(timeout_s=5) as source:
        plan = await source.explain(ENDLESS[any_shop.engine], WHO)
        again = await source.explain("EXPLAIN SELECT * FROM customers", WHO)
    assert plan.strip()
    assert again.strip()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "INSERT INTO customers VALUES (9, 'x', 'XX', TRUE, NULL)",
        "SELECT 1; DROP TABLE orders",
        "CREATE TABLE t (a INT)",
        "EXPLAIN ANALYZE SELECT * FROM orders",
    ],
)
async def test_what_does_not_only_read_is_refused_at_every_door(
    source: SQLConnector, sql: str
) -> None:
    with pytest.raises(QueryRefused):
        await source.query(sql, WHO)
    with pytest.raises(QueryRefused):
        await source.explain(sql, WHO)
    with pytest.raises(QueryRefused):
        await source.execute("query", {"sql": sql}, WHO)
    assert column(await source.query("SELECT count(*) AS c FROM orders", WHO), "c") == [4]


async def test_a_mistake_in_sql_is_told_in_the_engines_words(source: SQLConnector) -> None:
    with pytest.raises(ConnectorError, match="no_such_column") as caught:
        await source.query("SELECT no_such_column FROM customers", WHO)
    assert caught.value.kind == "bad_request"
    assert caught.value.connector == "shop"
    assert "\n" not in caught.value.message


async def test_a_percent_sign_is_only_a_percent_sign(source: SQLConnector) -> None:
    result = await source.query("SELECT count(*) AS c FROM customers WHERE name LIKE '%s%'", WHO)
    assert len(column(result, "c")) == 1


async def test_the_operations_are_declared_and_run_by_name(source: SQLConnector) -> None:
    assert names(source.operations()) == [
        "query", "list_schemas", "list_tables", "describe_table", "sample", "explain",
    ]  # fmt: skip
    tables = await source.execute("list_tables", {}, WHO)
    assert tables[0]["name"] == "customers"
    described = await source.execute("describe_table", {"name": "items"}, WHO)
    assert described["columns"][0]["name"] == "order_id"
    sample = await source.execute("sample", {"name": "items", "rows": 1}, WHO)
    assert sample.table.num_rows == 1
    assert await source.execute("explain", {"sql": "SELECT 1 AS one"}, WHO)
    assert isinstance(await source.execute("list_schemas", {}, WHO), list)
    assert await source.execute("list_tables", {"schema": "nowhere"}, WHO) == []


async def test_an_unknown_operation_or_argument_is_told(source: SQLConnector) -> None:
    with pytest.raises(ConnectorError, match="no operation 'drop'") as caught:
        await source.execute("drop", {}, WHO)
    assert caught.value.kind == "unsupported"
    assert "describe_table" in caught.value.hint
    with pytest.raises(ConnectorError, match="name: field required") as missing:
        await source.execute("sample", {"rows": 3}, WHO)
    assert missing.value.kind == "bad_request"


async def test_a_healthy_database_tells_its_version(source: SQLConnector) -> None:
    health = await source.health()
    assert health.state in (HealthState.OK, HealthState.DEGRADED)
    assert any(digit.isdigit() for digit in health.detail)
    assert health.latency_ms is not None


async def test_closing_twice_is_fine_and_afterwards_nothing_runs(any_shop: Shop) -> None:
    source = SQLConnector("shop", any_shop.config())
    await source.query("SELECT 1 AS one", WHO)
    await source.aclose()
    await source.aclose()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sql-shop")]
    with pytest.raises(ConnectorError, match="closed"):
        await source.query("SELECT 1 AS one", WHO)


async def test_closing_stops_what_runs(any_shop: Shop) -> None:
    source = SQLConnector("shop", any_shop.config(pool_size=1))
    task = asyncio.ensure_future(source.query(ENDLESS[any_shop.engine], WHO))
    await until_busy(source)
    async with asyncio.timeout(10):
        await source.aclose()
        with pytest.raises(ConnectorError):
            await task
