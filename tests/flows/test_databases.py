"""Real databases behind the real gateway: dead ones, wrong ones, endless queries, writes and results that are cut."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import asyncmy
import asyncpg
import duckdb
import orjson
import pytest
import pytest_asyncio

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.types.chat import ToolCall
from tests.flows.daemon import Daemon, make_database, running_gateway, write_config
from tests.flows.relay import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.service]

STRANGE = "p@s:s/w?r#d%&+ '\"\\ü$"
"""A password with every character that means something in a URL, in YAML or in a shell."""
OWNED = "/tmp/qa-owned"
"""Where a server would write, if it could be talked into it."""
SHOP = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER)",
    "INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30)",
)
ENDLESS = {
    "pg": "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b",
    "maria": "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq <> b.seq",
    "lite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
    "duck": "SELECT count(*) FROM range(100000000) a, range(1000000) b WHERE a.range <> b.range",
}
MARKS = {"pg": "generate_series", "maria": "seq_1_to"}
"""What the endless statements of the two servers can be told by in their lists of what runs."""


@dataclass(frozen=True)
class Servers:
    """The administrators' doors to the two servers, and the databases made for this module."""

    pg: asyncpg.Connection
    maria: Any
    urls: dict[str, str] = field(default_factory=dict[str, str])

    async def maria_rows(self, sql: str) -> list[Any]:
        async with self.maria.cursor() as cursor:
            await cursor.execute(sql)
            return list(await cursor.fetchall())

    async def running(self, engine: str, mark: str) -> int:
        """How many statements with `mark` in them run on the server right now."""
        if engine == "pg":
            found = await self.pg.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1"
                " AND pid <> pg_backend_pid()",
                f"%{mark}%",
            )
            return int(found or 0)
        rows = await self.maria_rows("SHOW FULL PROCESSLIST")
        return sum(mark in str(row[7]) and "PROCESSLIST" not in str(row[7]) for row in rows)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(15):
            while not await condition():  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never came true: {what}") from None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(postgres_url: str, mysql_url: str) -> AsyncGenerator[Servers]:
    name = f"qa_{uuid4().hex[:8]}"
    pg = await asyncpg.connect(postgres_url)
    parts = urlsplit(mysql_url)
    maria = await asyncmy.connect(
        host=parts.hostname,
        port=parts.port or 0,
        user="databot",
        password="p@ss/w:rd",
        autocommit=True,
    )
    servers = Servers(pg, maria)
    await pg.execute(f'CREATE DATABASE "{name}"')
    servers.urls["pg"] = postgres_url.rpartition("/")[0] + f"/{name}"
    inside = await asyncpg.connect(servers.urls["pg"])
    for statement in SHOP:
        await inside.execute(statement)
    await inside.close()
    escaped = STRANGE.replace("\\", "\\\\").replace("'", "\\'")
    for statement in (
        f"CREATE DATABASE {name}",
        f"CREATE USER '{name}'@'127.0.0.1' IDENTIFIED BY '{escaped}'",
        f"USE {name}",
        *SHOP,
    ):
        await servers.maria_rows(statement)
    servers.urls["maria"] = mysql_url.rpartition("/")[0] + f"/{name}"
    servers.urls["strange"] = f"mysql://{name}:{quote(STRANGE, safe='')}@127.0.0.1:{parts.port}/"
    servers.urls["wrong"] = f"mysql://{name}:c4nary-wrong@127.0.0.1:{parts.port}/"
    yield servers
    await pg.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await pg.close()
    await servers.maria_rows(f"DROP DATABASE {name}")
    await servers.maria_rows(f"DROP USER '{name}'@'127.0.0.1'")
    await maria.ensure_closed()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(postgres_url: str) -> AsyncGenerator[Relay]:
    parts = urlsplit(postgres_url)
    relay = Relay(parts.hostname or "", parts.port or 0)
    await relay.up()  # takes a port, which stays its own
    await relay.down()
    yield relay
    await relay.down()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.always(Say(text="Fine."))
        yield server


def connectors(folder: Path, servers: Servers, relay: Relay) -> dict[str, Any]:
    lite, duck = folder / "shop.sqlite", folder / "shop.duckdb"
    with closing(sqlite3.connect(lite)) as db:
        for statement in SHOP:
            db.execute(statement)
        db.commit()
    with duckdb.connect(str(duck)) as db:
        for statement in SHOP:
            db.execute(statement)
    (folder / "corrupt.sqlite").write_bytes(b"no database " * 1000)
    (folder / "corrupt.duckdb").write_bytes(b"no database " * 1000)
    there = urlsplit(servers.urls["pg"])
    login = there.netloc.rpartition("@")[0]
    down = there._replace(netloc=f"{login}@127.0.0.1:{relay.port}").geturl()
    urls = {
        "pg": servers.urls["pg"],
        "maria": servers.urls["maria"],
        "lite": f"sqlite:///{lite}",
        "duck": f"duckdb:///{duck}",
        "strange_password": servers.urls["strange"],
        "wrong_password": servers.urls["wrong"],
        "wrong_database": servers.urls["pg"] + "_none",
        "down": down,
        "unknown_host": "postgresql://u:c4nary-host@no.such.invalid/d",
        "missing": f"sqlite:///{folder}/none.sqlite",
        "missing_duck": f"duckdb:///{folder}/none.duckdb",
        "corrupt": f"sqlite:///{folder}/corrupt.sqlite",
        "corrupt_duck": f"duckdb:///{folder}/corrupt.duckdb",
        "folder": f"sqlite:///{folder}",
    }
    found: dict[str, Any] = {name: {"type": "sql", "url": url} for name, url in urls.items()}
    for engine in ENDLESS:
        found[f"{engine}_hasty"] = {"type": "sql", "url": urls[engine], "timeout_s": 0.5}
        found[f"{engine}_small"] = {"type": "sql", "url": urls[engine], "max_rows": 2}
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(
    tmp_path_factory: pytest.TempPathFactory, model: ModelServer, servers: Servers, relay: Relay
) -> AsyncGenerator[Daemon]:
    folder = tmp_path_factory.mktemp("databases")
    config = write_config(
        folder,
        llm={"model": "openai/test-model", "api_base": model.url},
        connectors=connectors(folder, servers, relay),
        auth={"rate_limit": {"requests": 100_000, "per_s": 1}},
    )
    async with running_gateway(config) as daemon:
        yield daemon
        log = "\n".join(daemon.banner)
        assert "Traceback" not in log
        assert "c4nary" not in log
        assert STRANGE not in log


def script(model: ModelServer, connector: str, sql: str) -> None:
    arguments = orjson.dumps({"sql": sql, "connector": connector}).decode()
    model.script(Say(calls=(ToolCall(id="c1", name="sql", arguments=arguments),)))


async def query(
    daemon: Daemon, model: ModelServer, connector: str, sql: str
) -> tuple[dict[str, Any], str]:
    """The reply of a turn in which the model runs `sql`, and what the model was told about it."""
    script(model, connector, sql)
    reply = await daemon.ask("@sql please", session_id=uuid4().hex)
    assert reply["reply"] == "Fine."
    return reply, model.requests[-1].body["messages"][-1]["content"]


@pytest.mark.parametrize("engine", ENDLESS)
async def test_a_live_database_answers_with_its_evidence(
    daemon: Daemon, model: ModelServer, engine: str
) -> None:
    reply, told = await query(daemon, model, engine, "SELECT id, amount FROM orders ORDER BY id")
    [evidence] = reply["evidence"]
    assert (evidence["connector"], evidence["rows"], evidence["truncated"]) == (engine, 3, False)
    assert "30" in told


async def test_a_password_may_hold_any_character(daemon: Daemon, model: ModelServer) -> None:
    _, told = await query(daemon, model, "strange_password", "SELECT 41 + 1 AS answer")
    assert "42" in told


BROKEN = {
    "wrong_password": ("refused the login", "auth"),
    "wrong_database": ("none", "not_found"),
    "down": ("cannot reach", "unavailable"),
    "unknown_host": ("cannot reach", "unavailable"),
    "missing": ("none.sqlite", "not_found"),
    "missing_duck": ("none.duckdb", "not_found"),
    "corrupt": ("corrupt.sqlite", ""),
    "corrupt_duck": ("corrupt.duckdb", ""),
    "folder": ("", ""),
    "nosuch": ("there is no SQL connector", ""),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_database_is_told_to_the_model_and_the_turn_goes_on(
    daemon: Daemon, model: ModelServer, name: str
) -> None:
    reply, told = await query(daemon, model, name, "SELECT count(*) FROM orders")
    assert [tool["ok"] for tool in reply["tools"]] == [False]
    expected, kind = BROKEN[name]
    assert told.startswith("error: ")
    assert expected in told
    assert kind in told
    assert "c4nary" not in told
    assert "Traceback" not in told
    if name != "nosuch":
        status, body = await daemon.post(f"/api/v1/connectors/{name}/check", {})
        assert status == 200
        assert body["health"]["state"] == "down"
        assert "c4nary" not in str(body)


async def test_dead_databases_do_not_make_the_daemon_unready(daemon: Daemon) -> None:
    status, body = await daemon.get("/readyz")
    assert status == 200, body
    status, listed = await daemon.get("/api/v1/connectors")
    states = {item["name"]: item["health"]["state"] for item in listed["connectors"]}
    assert {states[name] for name in ENDLESS} <= {"ok", "degraded"}, (
        "a superuser is worth a warning"
    )
    assert states["down"] == states["missing"] == "down"


async def test_a_database_that_comes_up_later_and_goes_down_again_is_used_while_it_is_there(
    daemon: Daemon, model: ModelServer, relay: Relay
) -> None:
    sql = "SELECT sum(amount) FROM orders"
    for _ in range(2):
        reply, told = await query(daemon, model, "down", sql)
        assert not reply["tools"][0]["ok"]
        await relay.up()
        reply, told = await query(daemon, model, "down", sql)
        assert reply["tools"][0]["ok"], told
        assert "60" in told
        await relay.down()


@pytest.mark.parametrize("engine", ENDLESS)
async def test_an_endless_query_ends_at_its_time_limit_on_the_server_too(
    daemon: Daemon, model: ModelServer, servers: Servers, engine: str
) -> None:
    reply, told = await query(daemon, model, f"{engine}_hasty", ENDLESS[engine])
    assert not reply["tools"][0]["ok"]
    assert "stopped after 0.5 s" in told
    if engine in MARKS:
        await until(lambda: gone(servers, engine), "the query runs no more")
    reply, told = await query(daemon, model, f"{engine}_hasty", "SELECT 41 + 1 AS answer")
    assert "42" in told


async def gone(servers: Servers, engine: str) -> bool:
    return await servers.running(engine, MARKS[engine]) == 0


async def there(servers: Servers, engine: str) -> bool:
    return await servers.running(engine, MARKS[engine]) > 0


@pytest.mark.parametrize("engine", ENDLESS)
async def test_cancelling_a_turn_ends_its_query_on_the_server(
    daemon: Daemon, model: ModelServer, servers: Servers, engine: str
) -> None:
    session = f"cancelled-{engine}"
    script(model, engine, ENDLESS[engine])
    question = {"message": "@sql please", "session_id": session}
    _, accepted = await daemon.post("/api/v1/messages", question)
    events = daemon.events(accepted["events_url"])
    async with asyncio.timeout(15):
        while (await anext(events)).name != "tool_started":
            pass
    if engine in MARKS:
        await until(lambda: there(servers, engine), "the query runs")
    status, _ = await daemon.post(f"/api/v1/turns/{accepted['turn_id']}/cancel", {})
    assert status == 202
    async with asyncio.timeout(15):
        rest = [event async for event in events]
    assert rest[-1].name == "turn_failed"
    assert rest[-1].data["error"]["type"] == "cancelled"
    if engine in MARKS:
        await until(lambda: gone(servers, engine), "the query runs no more")
    assert (await daemon.ask("and now?", session_id=session))["reply"] == "Fine."
    _, told = await query(daemon, model, engine, "SELECT 41 + 1 AS answer")
    assert "42" in told


async def test_a_connection_the_server_cuts_is_told_and_the_next_query_works(
    daemon: Daemon, model: ModelServer, servers: Servers
) -> None:
    script(model, "pg", ENDLESS["pg"])
    _, accepted = await daemon.post("/api/v1/messages", {"message": "@sql please"})
    await until(lambda: there(servers, "pg"), "the query runs")
    await servers.pg.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%generate%' AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(20):
        events = [event async for event in daemon.events(accepted["events_url"])]
    assert events[-1].name == "turn_finished"
    assert model.requests[-1].body["messages"][-1]["content"].startswith("error: ")
    _, told = await query(daemon, model, "pg", "SELECT 41 + 1 AS answer")
    assert "42" in told


@pytest.mark.parametrize("engine", ENDLESS)
async def test_a_result_over_the_limit_is_told_everywhere(
    daemon: Daemon, model: ModelServer, engine: str
) -> None:
    sql = "SELECT id FROM orders ORDER BY id"
    reply, told = await query(daemon, model, f"{engine}_small", sql)
    [evidence] = reply["evidence"]
    assert (evidence["rows"], evidence["truncated"]) == (2, True)
    assert "truncated" in told.lower() or "more rows" in told.lower() or "limit" in told.lower()


@pytest.mark.parametrize("engine", ["pg", "maria", "duck"])
async def test_a_large_result_is_an_artifact_with_every_row_that_was_fetched(
    daemon: Daemon, model: ModelServer, engine: str
) -> None:
    many = {
        "pg": "SELECT g AS n FROM generate_series(1, 5000) g",
        "maria": "SELECT seq AS n FROM seq_1_to_5000",
        "duck": "SELECT range AS n FROM range(5000)",
    }
    reply, told = await query(daemon, model, engine, many[engine])
    [evidence] = reply["evidence"]
    assert (evidence["rows"], evidence["truncated"]) == (1000, True)
    assert len(told) < 20_000
    [artifact] = reply["artifacts"] if "artifacts" in reply else [evidence["artifact"]]
    identity = artifact["id"] if isinstance(artifact, dict) else artifact
    async with daemon.session.get(f"{daemon.url}/api/v1/artifacts/{identity}") as response:
        assert response.status == 200
        body = await response.read()
    assert len(body.split()) == 1 + 1000, "the head line and every row that was fetched"


WRITES: dict[str, list[str]] = {
    "every": [
        "DELETE FROM orders",
        "DELETE/**/FROM orders",
        "UPDATE orders SET amount = 0",
        "INSERT INTO orders VALUES (9, 9)",
        "DROP TABLE orders",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1; DELETE FROM orders -- '",
        "; DROP TABLE orders",
        "CREATE TABLE x (n INTEGER)",
        "WITH d AS (SELECT 1) DELETE FROM orders",
        "BEGIN; DELETE FROM orders; COMMIT",
        "COMMIT",
        "EXPLAIN ANALYZE DELETE FROM orders",
    ],
    "pg": [
        "WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d",
        "SELECT * INTO copied FROM orders",
        "COPY orders TO PROGRAM 'touch /tmp/qa-owned'",
        "COPY (SELECT 1) TO '/tmp/qa-owned'",
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "VACUUM",
        "CALL nothing()",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT dblink_exec('dbname=x', 'DELETE FROM orders')",
    ],
    "maria": [
        "SELECT * FROM orders INTO OUTFILE '/tmp/qa-owned'",
        "SELECT id FROM orders LIMIT 1 INTO DUMPFILE '/tmp/qa-owned'",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE orders",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SET GLOBAL max_connections = 1",
        "KILL 1",
        "/*!50000 DELETE FROM orders */",
        "SELECT 1 /*! INTO OUTFILE '/tmp/qa-owned' */",
        "SELECT SLEEP(100)",
        "HANDLER orders OPEN",
        "SELECT @x := 1",
    ],
    "lite": [
        "ATTACH DATABASE '/tmp/qa-owned' AS x",
        "PRAGMA writable_schema = 1",
        "VACUUM INTO '/tmp/qa-owned'",
        "SELECT load_extension('x')",
        "REPLACE INTO orders VALUES (1, 0)",
    ],
    "duck": [
        "COPY orders TO '/tmp/qa-owned'",
        "ATTACH '/tmp/qa-owned' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "EXPORT DATABASE '/tmp/qa-owned'",
    ],
}


@pytest.fixture
def untouched() -> Iterator[None]:
    """No server wrote a file."""
    yield
    assert not Path(OWNED).exists()


ATTEMPTS = [(engine, sql) for engine in ENDLESS for sql in [*WRITES["every"], *WRITES[engine]]]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("engine", "sql"), ATTEMPTS)
async def test_a_write_is_refused_and_changes_nothing(
    daemon: Daemon, model: ModelServer, engine: str, sql: str
) -> None:
    reply, told = await query(daemon, model, engine, sql)
    assert [tool["ok"] for tool in reply["tools"]] == [False], told
    assert told.startswith("error: ")
    _, told = await query(daemon, model, engine, "SELECT count(*), sum(amount) FROM orders")
    assert "60" in told


BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"asyncpg", "asyncmy", "duckdb"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


async def test_a_missing_driver_is_named_with_its_extra_and_the_others_work(
    tmp_path: Path, model: ModelServer
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    make_database(tmp_path / "shop.db")
    urls = {
        "pg": "postgresql://u@127.0.0.1/d",
        "maria": "mysql://u@127.0.0.1/d",
        "duck": "duckdb:///x.duckdb",
        "shop": f"sqlite:///{tmp_path}/shop.db",
    }
    wired = {name: {"type": "sql", "url": url} for name, url in urls.items()}
    llm = {"model": "openai/test-model", "api_base": model.url}
    config = write_config(tmp_path, llm=llm, connectors=wired)
    async with running_gateway(config, PYTHONPATH=str(tmp_path)) as daemon:
        for name, extra in (("pg", "postgres"), ("maria", "mysql"), ("duck", "duckdb")):
            reply, told = await query(daemon, model, name, "SELECT 1")
            assert not reply["tools"][0]["ok"]
            assert f"databot-daemon[{extra}]" in told
        reply, told = await query(daemon, model, "shop", "SELECT count(*) FROM orders")
        assert reply["tools"][0]["ok"], told
        banner = "\n".join(daemon.banner)
    assert "pg is down" in banner
    assert "databot-daemon[postgres]" in banner
