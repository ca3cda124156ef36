"""Cancelling is over only when the server is idle: its own process list is asked."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from databot.connectors.base import CallContext
from databot.types.errors import ConnectorError
from tests.connectors.databases import ENDLESS, Shop, mysql_admin, postgres_admin

pytestmark = pytest.mark.service
WHO = CallContext(session_id="s42", principal_id="ada")
PG_RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name = 'databot/s42/ada' AND query LIKE '%endless%'"
MYSQL_RUNNING = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND INFO LIKE '%endless%' AND ID <> CONNECTION_ID()"


async def until(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Wait until the server counts so many; each look is a round trip, so this does not spin."""
    async with asyncio.timeout(15):
        while await count() != wanted:
            pass


def postgres_count(url: str) -> Callable[[], Coroutine[Any, Any, int]]:
    async def count() -> int:
        return (await postgres_admin(url, PG_RUNNING))[0][0]

    return count


def mysql_count(url: str) -> Callable[[], Coroutine[Any, Any, int]]:
    async def count() -> int:
        return (await mysql_admin(url, MYSQL_RUNNING))[0][0]

    return count


@pytest.fixture(params=["postgres", "mysql"])
def served(
    request: pytest.FixtureRequest,
) -> tuple[Shop, Callable[[], Coroutine[Any, Any, int]]]:
    shop: Shop = request.getfixturevalue(f"{request.param}_shop")
    url: str = request.getfixturevalue(f"{request.param}_url")
    return shop, (postgres_count if request.param == "postgres" else mysql_count)(url)


Served = tuple[Shop, Callable[[], Coroutine[Any, Any, int]]]


async def test_cancelling_the_task_ends_the_query_on_the_server(served: Served) -> None:
    shop, running = served
    async with shop.connected() as connector:
        task = asyncio.ensure_future(connector.query(ENDLESS[shop.engine], WHO))
        await until(running, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(running, 0)


async def test_the_time_limit_ends_the_query_on_the_server(served: Served) -> None:
    shop, running = served
    async with shop.connected(timeout_s=0.5) as connector:
        with pytest.raises(ConnectorError) as caught:
            await connector.query(ENDLESS[shop.engine], WHO)
        assert caught.value.kind == "timeout"
        await until(running, 0)


async def test_a_result_left_early_ends_on_the_server(served: Served) -> None:
    shop, running = served
    rows = {
        "postgres": "SELECT g AS endless FROM generate_series(1, 2000000) g LIMIT 1999999",
        "mysql": "SELECT seq AS endless FROM seq_1_to_2000000 LIMIT 1999999",
    }
    async with shop.connected(max_rows=10) as connector:
        result = await connector.query(rows[shop.engine], WHO)
        assert (result.table.num_rows, result.truncated_by) == (10, "rows")
        await until(running, 0)
        assert (await connector.query("SELECT 1 AS one", WHO)).table.num_rows == 1


async def test_a_connection_that_died_while_idle_is_replaced_unnoticed(
    served: Served, request: pytest.FixtureRequest
) -> None:
    shop, _ = served
    async with shop.connected(pool_size=1) as connector:
        await connector.query("SELECT 1 AS one", WHO)
        await kill_idle(shop, request)
        assert (await connector.query("SELECT 2 AS two", WHO)).table.to_pylist() == [{"two": 2}]
        assert list(await connector.list_tables())


async def kill_idle(shop: Shop, request: pytest.FixtureRequest) -> None:
    """Cut every connection databot holds open, from the server's side."""
    if shop.engine == "postgres":
        await postgres_admin(
            request.getfixturevalue("postgres_url"),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'databot%'",
        )
        return
    url: str = request.getfixturevalue("mysql_url")
    held = await mysql_admin(
        url, f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{shop.schema}'"
    )
    for (thread,) in held:
        await mysql_admin(url, f"KILL {thread}")


async def test_a_connection_cut_in_the_middle_is_told_and_the_next_query_works(
    served: Served, request: pytest.FixtureRequest
) -> None:
    shop, running = served
    async with shop.connected(pool_size=1) as connector:
        task = asyncio.ensure_future(connector.query(ENDLESS[shop.engine], WHO))
        await until(running, 1)
        await kill_idle(shop, request)
        with pytest.raises(ConnectorError) as caught:
            await task
        assert caught.value.kind in ("unavailable", "cancelled")
        assert (await connector.query("SELECT 2 AS two", WHO)).table.num_rows == 1
