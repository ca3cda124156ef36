"""PostgreSQL as the engine of dispatch: its faults, its place beside others, and what it leaves behind."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from databot.dispatch.base import Dispatch, JobsDue, NumberedEvent, TurnKey
from databot.dispatch.procrastinate import complete, open_procrastinate
from databot.dispatch.procrastinate.address import address_of
from databot.dispatch.procrastinate.outages import LONGEST_WAIT_S, Outages, keep_on
from databot.testing import FakeClock
from databot.types.clock import RandomIds, SystemClock
from databot.types.errors import ConfigError, DispatchUnavailable, MissingExtra
from databot.types.events import TextDelta, TurnFailed
from databot.types.messages import ConversationKey
from tests.conftest import server_url
from tests.dispatch.postgres import PostgresServer, drop_schemas, schemas

if TYPE_CHECKING:
    from databot.dispatch.procrastinate.dispatch import ProcrastinateDispatch

T = TypeVar("T")
pytestmark = pytest.mark.service
LIMIT_S = 40.0
AT_ONCE = 4
"""How many a replica takes in hand."""
TURN = TurnKey(tenant_id="t", turn_id="turn_1")
OURS = "databot.dispatch"


def conversation(number: int) -> ConversationKey:
    return ConversationKey(tenant_id="t", bot_id="b", session_id=f"é {number}")


def text(number: int) -> NumberedEvent:
    return NumberedEvent(number=number, event=TextDelta(turn_id="turn_1", text=f"{number} "))


def end(number: int, reason: str = "stopped") -> NumberedEvent:
    event = TurnFailed(turn_id="turn_1", session_id="s", error="cancelled", reason=reason)
    return NumberedEvent(number=number, event=event)


@pytest.fixture
def url(postgres_url: str) -> Generator[str]:
    """A schema of the test's own."""
    schema = f"t_{uuid4().hex[:12]}"
    yield f"{postgres_url}?schema={schema}"
    drop_schemas(postgres_url, schema)


def sql(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the database from outside, with the schema's tables in sight; `{schema}` is the schema's full name."""
    plain, _, query = url.partition("?")
    with psycopg.connect(plain, autocommit=True) as connection:
        found = schemas(connection, query.removeprefix("schema=") or "databot_dispatch")
        connection.execute(SQL("SET search_path = {}").format(Identifier(found[0])))
        cursor = connection.execute(statement.replace("{schema}", found[0]).encode(), values)
        return cursor.fetchall() if cursor.description else []


def administer(url: str, statement: str) -> None:
    with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
        connection.execute(statement.encode())


def opened(url: str) -> AbstractAsyncContextManager[Dispatch]:
    return open_procrastinate(url, SystemClock(), RandomIds())


@asynccontextmanager
async def two(url: str) -> AsyncGenerator[tuple[Dispatch, Dispatch]]:
    async with asyncio.timeout(LIMIT_S), opened(url) as one, opened(url) as other:
        yield one, other


async def first(stream: AsyncIterator[T]) -> T:
    async with aclosing(cast("AsyncGenerator[T]", stream)) as items:
        async for item in items:
            return item
    raise AssertionError("the stream ended")


async def until_taken(dispatch: Dispatch, number: int) -> None:
    """Signal until it is taken, as the sweeper does."""

    async def signal() -> None:
        while True:
            await dispatch.signal(conversation(number))
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        signalling = group.create_task(signal())
        async for key in dispatch.signals():
            if key == conversation(number):
                break
        signalling.cancel()


async def until(question: str, url: str, answer: object) -> None:
    while await asyncio.to_thread(sql, url, question) != [(answer,)]:  # noqa: ASYNC110 - a table, which tells nobody
        await asyncio.sleep(0.05)


JOBS = "SELECT count(*) FROM procrastinate_jobs"
WAITING = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"


async def test_a_burst_of_signals_for_one_conversation_waits_as_one_job(url: str) -> None:
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        for number in range(10):  # nobody takes them: some are in hand, the others wait
            await dispatch.signal(conversation(number))
        await until(WAITING, url, 10 - AT_ONCE - 1)
        for _ in range(30):
            await dispatch.signal(conversation(9))
            await asyncio.sleep(0)
        await dispatch.signal(conversation(10))
        await until(WAITING, url, 10 - AT_ONCE)


async def test_jobs_taken_are_deleted(url: str) -> None:
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        for number in range(20):
            await dispatch.signal(conversation(number))
        left = {conversation(number) for number in range(20)}
        async for key in dispatch.signals():
            left.discard(key)
            if not left:
                break
        await until(JOBS, url, 0)


async def test_an_applications_own_procrastinate_beside_ours_is_not_touched(url: str) -> None:
    from procrastinate import App, PsycopgConnector

    name = f"app_{uuid4().hex[:12]}"
    base = url.partition("?")[0]
    plain = f"{base.rpartition('/')[0]}/{name}"
    administer(url, f'CREATE DATABASE "{name}"')
    try:
        app = App(connector=PsycopgConnector(conninfo=plain))
        async with asyncio.timeout(LIMIT_S), app.open_async():
            await app.schema_manager.apply_schema_async()
            app.task(name="theirs", queue="theirs")(print)
            await app.configure_task("theirs").defer_async()
            async with opened(plain) as dispatch:
                await until_taken(dispatch, 1)
            jobs = [job.task_name for job in await app.job_manager.list_jobs_async()]
        assert jobs == ["theirs"]
    finally:
        administer(url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_many_replicas_that_start_at_once_make_the_tables_once(url: str) -> None:
    async def start() -> str:
        async with opened(url) as dispatch:
            return await dispatch.check()

    async with asyncio.timeout(LIMIT_S):
        lines = await asyncio.gather(*(start() for _ in range(6)))
    assert len(set(lines)) == 1
    assert lines[0].startswith("PostgreSQL ")


async def test_databots_with_schemas_of_their_own_do_not_hear_each_other(url: str) -> None:
    other_url = f"{url}_2"
    async with asyncio.timeout(LIMIT_S), opened(url) as one, opened(other_url) as other:
        await one.signal(conversation(1))
        await one.announce(JobsDue())
        assert await first(one.signals()) == conversation(1)
        await until_taken(other, 2)
        async with asyncio.TaskGroup() as group:
            foreign = group.create_task(first(other.listen(TURN)))
            ours = group.create_task(first(one.listen(TURN)))
            one.tell(TURN, text(1))
            assert await ours == text(1)
            foreign.cancel()
        assert foreign.cancelled()


async def test_a_reply_longer_than_a_notification_reaches_a_reader_elsewhere(url: str) -> None:
    async with two(url) as (runs, reads):
        runs.tell(TURN, text(1))
        runs.tell(TURN, end(2, "ein langes Ende 🙂 " * 3_000))
        assert [item async for item in reads.listen(TURN)] == [
            text(1),
            end(2, "ein langes Ende 🙂 " * 3_000),
        ]


async def test_connections_that_are_ended_are_made_anew_and_no_event_is_missed(url: str) -> None:
    schema = address_of(url).schema
    end_all = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'databot dispatch' AND pid <> pg_backend_pid()"""
    async with two(url) as (runs, reads), asyncio.TaskGroup() as group:
        heard: list[int] = []

        async def hear() -> None:
            heard.extend([item.number async for item in reads.listen(TURN)])

        hearing = group.create_task(hear())
        for number in range(1, 200):
            runs.tell(TURN, text(number))
            if number % 50 == 0:
                await asyncio.to_thread(sql, url, end_all)
            await asyncio.sleep(0.005)
        runs.tell(TURN, end(200))
        await hearing
        assert heard == list(range(1, 201))
        await until_taken(reads, 1)
        await until_taken(runs, 2)
    assert schema


async def test_a_schema_that_is_dropped_while_it_is_used_is_made_again(url: str) -> None:
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        await until_taken(dispatch, 1)
        sql(url, 'DROP SCHEMA "{schema}" CASCADE')
        await until_taken(dispatch, 2)


async def test_a_job_of_a_dead_worker_is_deleted_though_the_conversation_waits_again(
    url: str,
) -> None:
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        await until_taken(dispatch, 1)
    sql(
        url,
        """INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args, status)
           VALUES ('{schema}', 'databot.conversation', 'k', '{"conversation": ["t", "b", "dead"]}', 'doing'),
                  ('{schema}', 'databot.conversation', 'k', '{"conversation": ["t", "b", "alive"]}', 'todo')""",
    )
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        async for key in dispatch.signals():
            if key.session_id == "alive":
                break
            assert key.session_id != "dead"
        await until("SELECT count(*) FROM procrastinate_jobs WHERE queueing_lock = 'k'", url, 0)


async def test_a_job_nobody_understands_is_dropped_and_the_others_are_taken(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "procrastinate")
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        await until_taken(dispatch, 1)
        sql(
            url,
            """INSERT INTO procrastinate_jobs (queue_name, task_name, args)
               VALUES ('{schema}', 'databot.conversation', '{"other": 1}'),
                      ('{schema}', 'databot.conversation', '{"conversation": ["t"]}'),
                      ('{schema}', 'databot.unknown', '{}')""",
        )
        await until_taken(dispatch, 2)
        await until(JOBS, url, 0)


async def test_a_signal_the_database_cannot_spell_is_left_and_the_others_go(url: str) -> None:
    async with asyncio.timeout(LIMIT_S), opened(url) as dispatch:
        await dispatch.signal(ConversationKey(tenant_id="t", bot_id="b", session_id="nul \x00"))
        await dispatch.signal(conversation(1))
        assert await first(dispatch.signals()) == conversation(1)


async def test_a_notification_of_somebody_else_is_skipped(url: str) -> None:
    channel = f"{address_of(url).schema}.all"
    async with two(url) as (one, other):
        for payload in ("", "nonsense", "a 0 1 [broken", 'a 0 1 ["dance"]', "a 1 2 rest"):
            sql(url, "SELECT pg_notify(%s, %s)", channel, payload)
        one.tell(TURN, end(1))
        assert await first(other.listen(TURN)) == end(1)


@pytest.mark.parametrize("place", ["password", "database", "user"])
async def test_what_will_not_pass_by_itself_is_refused_at_the_start_without_the_password(
    postgres_url: str, place: str
) -> None:
    parts = urlsplit(postgres_url)
    login = {"user": "databot", "password": "s3cr3t/p@ss", "database": "databot"}
    right = {"user": parts.username, "password": parts.password, "database": "databot"}
    values = right | {place: login[place] if place == "password" else "nobody_there"}
    user, password = (quote(str(values[name]), safe="") for name in ("user", "password"))
    url = f"postgresql://{user}:{password}@{parts.hostname}:{parts.port}/{values['database']}"
    with pytest.raises(ConfigError) as caught:
        async with asyncio.timeout(LIMIT_S), opened(url):
            pass
    told = f"{caught.value} {caught.value.hint}"
    assert f"{parts.hostname}:{parts.port}" in told
    assert "s3cr3t" not in told
    assert str(right["password"]) not in told


async def test_a_user_who_may_not_make_the_schema_is_told_what_to_grant(url: str) -> None:
    base = url.partition("?")[0]
    parts = urlsplit(base)
    user = f"u_{uuid4().hex[:12]}"
    administer(url, f"CREATE ROLE {user} LOGIN PASSWORD 'secret!'")
    theirs = f"postgresql://{user}:secret%21@{parts.hostname}:{parts.port}{parts.path}?{url.partition('?')[2]}"
    try:
        with pytest.raises(ConfigError, match="does not let this user make") as caught:
            async with asyncio.timeout(LIMIT_S), opened(theirs):
                pass
        assert "grant CREATE" in caught.value.hint
    finally:
        administer(url, f"DROP ROLE {user}")


@pytest.mark.parametrize(
    ("host", "authority", "why"),
    [
        ("localhost", "ca.crt", ""),
        ("localhost", "stranger.crt", "certificate"),
        ("127.0.0.1", "ca.crt", "certificate"),
    ],
)
async def test_a_server_is_verified_as_asked(url: str, host: str, authority: str, why: str) -> None:
    root = Path(server_url("DATABOT_TEST_TLS", "server with TLS")) / authority
    asked = f"{url.replace('@127.0.0.1:', f'@{host}:')}&sslmode=verify-full&sslrootcert={root}"
    with pytest.raises(ConfigError, match=why) if why else nullcontext():
        async with asyncio.timeout(LIMIT_S), opened(asked) as dispatch:
            assert host in await dispatch.check()


async def test_the_extra_is_named_where_the_client_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [
        name for name in sys.modules if name.startswith("databot.dispatch.procrastinate.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra) as caught:
        async with opened("postgres://localhost/db"):
            pass
    assert "[procrastinate]" in caught.value.hint


@pytest.fixture(scope="module")
def made() -> Generator[PostgresServer]:
    with TemporaryDirectory() as folder:  # not pytest's: the server's own user has to come in
        server = PostgresServer(Path(folder))
        yield server
        server.kill()


@pytest.fixture
def server(made: PostgresServer) -> Generator[PostgresServer]:
    """Running or not, as the test before left it: each says what it needs."""
    made.kill()
    yield made
    made.kill()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(OURS) and record.levelno >= logging.WARNING
    ]


async def test_a_server_that_is_away_at_the_start_is_waited_for(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server.url) as dispatch:
        with pytest.raises(DispatchUnavailable, match="does not answer") as caught:
            await dispatch.check()
        assert caught.value.hint
        await dispatch.signal(conversation(1))
        await dispatch.announce(JobsDue())
        assert await first(dispatch.notices()) == JobsDue()
        dispatch.tell(TURN, text(1))
        await asyncio.to_thread(server.start)
        assert await first(dispatch.signals()) == conversation(1)
        assert await first(dispatch.listen(TURN)) == text(1)
        assert "procrastinate" in await dispatch.check()
    assert len(warnings_of(caplog)) == 1


async def test_a_server_that_goes_and_comes_again_is_told_once_and_nothing_raises(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(server.start)
    async with two(server.url) as (runs, reads), asyncio.TaskGroup() as group:
        heard: list[int] = []

        async def hear() -> None:
            heard.extend([item.number async for item in reads.listen(TURN)])

        hearing = group.create_task(hear())
        await until_taken(reads, 1)
        runs.tell(TURN, text(1))
        await asyncio.to_thread(server.kill)
        for number in range(2, 50):
            runs.tell(TURN, text(number))
            await runs.signal(conversation(number))
            await runs.announce(JobsDue())
        with pytest.raises(DispatchUnavailable):
            await runs.check()
        await asyncio.to_thread(server.start)
        runs.tell(TURN, end(50))
        await hearing
        assert heard == list(range(1, 51))
        await until_taken(reads, 60)
        await until_taken(runs, 61)
        replicas = cast("tuple[ProcrastinateDispatch, ...]", (runs, reads))
        assert [replica.outages for replica in replicas] == [1, 1]
        assert [replica.lost for replica in replicas] == [0, 0]
    assert len(warnings_of(caplog)) == 2  # one for each replica
    assert server.url not in caplog.text


def test_what_comes_and_goes_is_one_outage_until_it_has_been_well_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, OURS)
    clock = FakeClock()
    outages = Outages("db:5432/x", clock)
    for _ in range(3):
        outages.began("taking", OSError())
        outages.over("taking")
        outages.settle()
        clock.advance(1)
    assert (outages.count, len(caplog.records)) == (1, 1)
    clock.advance(10)
    outages.settle()
    assert caplog.records[-1].getMessage() == "dispatch: PostgreSQL db:5432/x is back"
    outages.began("taking", OSError())
    assert outages.count == 2


async def test_a_part_that_fails_for_a_reason_of_its_own_is_begun_anew_and_its_error_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock(hurried=True)
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 20:
            raise LookupError("a mistake")
        await asyncio.Event().wait()

    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        part = keep_on("sending", work, Outages("x", clock), clock)
        keeping = group.create_task(part)
        while runs < 20:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        keeping.cancel()
    assert "a mistake" in caplog.text
    assert max(clock.slept) <= LONGEST_WAIT_S
    assert clock.slept[0] < clock.slept[-1]


async def test_a_server_that_is_frozen_keeps_nobody_from_leaving(server: PostgresServer) -> None:
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(LIMIT_S):
        async with opened(server.url) as dispatch:
            await until_taken(dispatch, 1)
            server.freeze()
            await dispatch.signal(conversation(2))
        server.thaw()


def test_postgres_alone_means_the_database_of_storage() -> None:
    storage = "postgresql+asyncpg://u:p@ss/w?rd@db:5433/main"
    named = storage.replace("+asyncpg", "")
    assert complete("postgres://", storage) == named
    assert complete("postgres://?", f"{storage}?search_path=x") == f"{named}?search_path=x"
    assert complete("postgres://?schema=x", storage) == f"{named}?schema=x"
    with_path = f"{storage}?search_path=mine"
    assert complete("postgres://?schema=x", with_path) == f"{named}?search_path=mine&schema=x"
    assert complete("postgres://other/db", storage) == "postgres://other/db"


def test_an_address_is_read_as_storage_reads_it_and_keeps_the_password_to_itself() -> None:
    storage = "postgresql+asyncpg://u:p@ss/w?rd@db:5433/main?search_path=mine"
    address = address_of(storage)
    assert (str(address), address.user, address.password) == ("db:5433/main", "u", "p@ss/w?rd")
    assert "p@ss" not in repr(address)
    assert address.schema != address_of("postgres://db/main").schema == "databot_dispatch"


def test_postgres_alone_needs_storage_in_postgresql() -> None:
    with pytest.raises(ConfigError, match=r"storage\.url"):
        complete("postgres://", "sqlite+aiosqlite:///x.db")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://", "names no PostgreSQL database"),
        ("mysql://u:secret@h/d", "names no PostgreSQL database"),
        ("postgres://u:secret@h:port/d", "port"),
        ("postgres://u:secret@h/d?schema=Not-So", "schema"),
        ("postgres://u:secret@h/d?schema=a&schema=b", "twice"),
        ("postgres://u:secret@h/d?shcema=a", "unknown option"),
        ("postgres://u:secret@h/d?sslmode=maybe", "sslmode"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        address_of(url)
    assert "secret" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("", {}),
        ("?ssl=require", {"sslmode": "require"}),
        ("?sslrootcert=/ca.crt", {"sslmode": "verify-full", "sslrootcert": "/ca.crt"}),
    ],
)
def test_tls_is_asked_for_as_for_storage(query: str, settings: dict[str, str]) -> None:
    found = address_of(f"postgres://[::1]/d{query}").settings()
    assert {name: value for name, value in found.items() if name.startswith("ssl")} == settings
    assert found["host"] == "::1"
