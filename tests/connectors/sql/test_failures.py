"""Databases that are down, locked, damaged or closed to us: one clear line, the right kind, no secret."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import quote

import pytest

from databot.connectors.base import CallContext, HealthState
from databot.connectors.sql.config import SqlConfig
from databot.connectors.sql.connector import SQLConnector
from databot.connectors.sql.driver import CONNECT_TIMEOUT_S
from databot.types.errors import ConnectorError, describe
from tests.connectors.databases import Shop, mysql_admin

WHO = CallContext()
SECRET = "hunt3r-s3cret"


def connector(url: str) -> SQLConnector:
    return SQLConnector("shop", SqlConfig.model_validate({"type": "sql", "url": url}))


async def failure(url: str) -> ConnectorError:
    """The error a query gives; its health must be down with a line that says as much."""
    source = connector(url)
    try:
        with pytest.raises(ConnectorError) as caught:
            await source.query("SELECT 1 AS one", WHO)
        health = await source.health()
    finally:
        await source.aclose()
    line = describe(caught.value)
    assert health.state is HealthState.DOWN
    assert health.detail
    assert SECRET not in f"{line}{health.detail}{caught.value!r}"
    assert "\n" not in line
    return caught.value


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
async def test_a_missing_file_is_not_found_and_not_created(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    error = await failure(f"{engine}:///{path}")
    assert (error.kind, str(path) in error.message) == ("not_found", True)
    assert not path.exists()


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
async def test_a_damaged_file_is_told_as_such(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.db"
    path.write_bytes(b"this is no database at all" * 1000)
    source = connector(f"{engine}:///{path}")
    with pytest.raises(ConnectorError, match="is damaged") as caught:
        await source.list_tables()
    assert caught.value.kind == "unavailable"
    assert (await source.health()).state is HealthState.DOWN
    await source.aclose()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_is_not_there_is_unavailable(scheme: str) -> None:
    error = await failure(f"{scheme}://ada:{SECRET}@127.0.0.1:1/shop")
    assert (error.kind, error.retryable) == ("unavailable", True)
    assert "cannot reach 127.0.0.1:1/shop" in error.message


async def test_options_that_asyncpg_refuses_are_told_as_such() -> None:
    error = await failure(f"postgresql://ada:{SECRET}@127.0.0.1:1/shop?sslnegotiation=direct")
    assert "direct TLS requires sslmode" in error.message
    assert error.hint == "look at the options of the URL"


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_host_without_a_name_is_unavailable(scheme: str) -> None:
    assert (
        await failure(f"{scheme}://ada:{SECRET}@no-such-host.invalid/shop")
    ).kind == "unavailable"


@contextlib.asynccontextmanager
async def listener(greeting: bytes) -> AsyncGenerator[int]:
    """A server that says `greeting` and then nothing."""

    writers: list[asyncio.StreamWriter] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(greeting)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if greeting:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        server.close()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_says_nothing_is_given_up(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("postgres", "mysql"):
        monkeypatch.setattr(f"databot.connectors.sql.drivers.{module}_dial.CONNECT_TIMEOUT_S", 0.3)
    monkeypatch.setattr("databot.connectors.sql.connector.HEALTH_TIMEOUT_S", 1.0)
    assert CONNECT_TIMEOUT_S <= 10
    async with listener(b"") as port:
        error = await failure(f"{scheme}://ada:{SECRET}@127.0.0.1:{port}/shop")
    assert (error.kind, "no answer within 0.3 s" in error.message) == ("unavailable", True)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_that_speaks_another_protocol_is_unavailable(scheme: str) -> None:
    async with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>") as port:
        error = await failure(f"{scheme}://ada:{SECRET}@127.0.0.1:{port}/shop")
    assert error.kind == "unavailable"


@pytest.mark.service
async def test_an_unknown_postgres_role_is_an_auth_problem(postgres_url: str) -> None:
    place = postgres_url.rpartition("@")[2]
    error = await failure(f"postgresql://nobody:{SECRET}@{place}")
    assert error.kind == "auth"
    assert "refused the login of 'nobody'" in error.message
    assert "connectors.shop.url" in error.hint


@pytest.mark.service
async def test_a_wrong_mysql_password_is_an_auth_problem(mysql_url: str) -> None:
    place = mysql_url.rpartition("@")[2]
    error = await failure(f"mysql://databot:{SECRET}@{place}")
    assert (error.kind, "user and password" in error.hint) == ("auth", True)


@pytest.mark.service
@pytest.mark.parametrize("engine", ["postgres", "mysql"])
async def test_an_unknown_database_is_not_found(
    engine: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{engine}_url")
    assert (await failure(f"{url}_gone")).kind == "not_found"


@pytest.mark.service
@pytest.mark.parametrize("password", ["p@:/%#?&= +'\"\\;", "ünïcødé 密码", "100%41%"])
async def test_a_password_of_any_characters_logs_in(mysql_url: str, password: str) -> None:
    place = mysql_url.rpartition("@")[2].partition("/")[0]  # it may log in, and no more
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    await mysql_admin(
        mysql_url,
        "SET NAMES utf8mb4",
        f"CREATE OR REPLACE USER 'odd'@'127.0.0.1' IDENTIFIED BY '{quoted}'",
    )
    source = connector(f"mysql://odd:{quote(password, safe='')}@{place}")
    try:
        health = await source.health()
        result = await source.query("SELECT CURRENT_USER() AS me", WHO)
    finally:
        await source.aclose()
        await mysql_admin(mysql_url, "DROP USER 'odd'@'127.0.0.1'")
    assert health.state is HealthState.OK
    assert result.table.to_pylist() == [{"me": "odd@127.0.0.1"}]


@pytest.mark.service
async def test_a_user_with_too_many_rights_is_degraded_and_one_that_reads_is_not(
    postgres_shop: Shop, mysql_shop: Shop
) -> None:
    async with postgres_shop.connected() as source:
        health = await source.health()
    assert (health.state, "superuser" in health.detail) == (HealthState.DEGRADED, True)
    async with mysql_shop.connected() as source:
        health = await source.health()
    assert (health.state, "SELECT only" in health.detail) == (HealthState.DEGRADED, True)


async def test_a_locked_sqlite_file_is_told_and_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databot.connectors.sql.drivers.sqlite.BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (a)")
        writer.execute("BEGIN EXCLUSIVE")
        source = connector(f"sqlite:///{path}")
        with pytest.raises(ConnectorError, match="the file is locked") as caught:
            await source.query("SELECT * FROM t", WHO)
        writer.execute("COMMIT")
        assert (await source.query("SELECT * FROM t", WHO)).table.num_rows == 0
        await source.aclose()
    assert (caught.value.kind, caught.value.retryable) == ("unavailable", True)


async def test_a_duckdb_file_held_by_another_program_is_told_with_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databot.connectors.sql.drivers.duckdb.LOCK_PAUSE_S", 0.01)
    path = tmp_path / "shop.duckdb"
    program = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); c.execute('CREATE TABLE t (a INT)'); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(  # noqa: ASYNC220 - it prints its one line at once
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    source = connector(f"duckdb:///{path}")
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(
            ConnectorError, match=rf"another program \(process {holder.pid}\) holds"
        ) as caught:
            await source.query("SELECT * FROM t", WHO)
        holder.communicate()
    assert (caught.value.kind, caught.value.retryable) == ("unavailable", True)
    assert (await source.query("SELECT * FROM t", WHO)).table.column_names == ["a"]
    await source.aclose()


async def test_an_odd_path_is_only_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "a b#c%20d"
    folder.mkdir()
    path = folder / "shop é.db"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a)")
    source = connector(f"sqlite:///{path}")
    assert [table.name for table in await source.list_tables()] == ["t"]
    await source.aclose()
