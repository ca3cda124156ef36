"""SQLite in trouble: full, read-only, locked, damaged, used twice."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from databot.storage.base import Worker
from databot.storage.claim_statements import BEGIN, STRANDED, TAKE
from databot.storage.database import Query
from databot.storage.inbox_statements import DEAD, OPEN_BY_TENANT, OPEN_IN_ONE
from databot.storage.open import Store, build_store, open_database
from databot.storage.sessions import FIND
from databot.storage.sqlite.connection import require_version
from databot.storage.sqlite.database import SqliteDatabase
from databot.storage.sqlite.files import OwnerLock, path_of
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.errors import ConfigError, StorageError, StorageUnavailable
from tests.storage.parts import Place, claimed, finish, message, said, unfinished

CHAT = message().conversation


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(tmp_path / "databot.db", exclusive=True)
    yield opened
    await opened.aclose()


@pytest.fixture
def store(database: SqliteDatabase, tmp_path: Path) -> Store:
    return build_store(database, tmp_path, FakeClock(), SequentialIds(), Worker(name="w"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(url=f"sqlite+aiosqlite:///{tmp_path}/databot.db", data_dir=tmp_path)


async def set_pragma(database: SqliteDatabase, pragma: str) -> None:
    await database.write(((Query(sql=f"PRAGMA {pragma}", names=()), {}),))


async def test_a_full_disk_refuses_new_messages_and_keeps_the_acknowledged_ones(
    database: SqliteDatabase, store: Store, tmp_path: Path
) -> None:
    await set_pragma(database, "max_page_count = 60")
    kept: list[str] = []
    with pytest.raises(StorageUnavailable, match="disk is full"):
        await fill(store, kept)
    assert kept
    claim = await claimed(store, "t0", message())
    with pytest.raises(StorageUnavailable):
        await store.journal.append(claim, said("t0", "x" * 300_000))
    assert [item.turn_id for item in await unfinished(store)] == kept
    await set_pragma(database, "max_page_count = 100000")
    await store.journal.append(claim, said("t0", "x" * 300_000))
    await finish(store, "after", message(chat_id="other"), "works again")
    with closing(sqlite3.connect(tmp_path / "databot.db")) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def fill(store: Store, kept: list[str]) -> None:
    """Accept messages until one is refused."""
    for number in range(1000):
        await store.inbox.ingest(f"t{number}", message("x" * 2000))
        kept.append(f"t{number}")


async def test_a_message_too_big_for_the_disk_fails_alone(
    database: SqliteDatabase, store: Store
) -> None:
    await set_pragma(database, "max_page_count = 120")
    questions = [message("small"), message("x" * 2_000_000), message("small")]
    async with asyncio.timeout(60):
        results = await asyncio.gather(
            *(store.inbox.ingest(f"t{n}", question) for n, question in enumerate(questions)),
            return_exceptions=True,
        )
    assert [isinstance(result, StorageUnavailable) for result in results] == [False, True, False]


async def test_a_read_only_database_is_unavailable_and_unhealthy_but_still_read(
    database: SqliteDatabase, store: Store
) -> None:
    await finish(store, "t1", message(), "before")
    await set_pragma(database, "query_only = ON")
    with pytest.raises(StorageUnavailable, match="is read-only"):
        await store.inbox.ingest("t2", message())
    with pytest.raises(StorageUnavailable):
        await store.check()
    assert len(await store.journal.history(CHAT, 5)) == 2


async def test_a_database_locked_by_another_program_is_unavailable_until_it_lets_go(
    database: SqliteDatabase, store: Store, tmp_path: Path
) -> None:
    await set_pragma(database, "busy_timeout = 1")
    with closing(sqlite3.connect(tmp_path / "databot.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(store.inbox.ingest(f"t{n}", message()) for n in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [StorageUnavailable] * 3
        assert "locked by another program" in str(results[0])
        other.execute("ROLLBACK")
    assert not (await store.inbox.ingest("t9", message())).duplicate


@pytest.mark.parametrize(
    "content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "databot.db"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        await open_database(f"sqlite:///{path}", exclusive=True)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == content


async def test_a_damaged_database_is_told_not_crashed_on(place: Place, tmp_path: Path) -> None:
    async with place.open() as store:
        for number in range(30):
            await finish(store, f"t{number}", message("x" * 3000), "y" * 3000)
    path = tmp_path / "databot.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises((ConfigError, StorageError), match=r"is damaged|is not an SQLite") as caught:
        async with place.open() as store:
            await store.inbox.ingest("t", message())
    assert "backup" in caught.value.hint


async def test_a_second_daemon_is_refused_and_the_first_goes_on(place: Place) -> None:
    async with place.open() as store:
        with pytest.raises(ConfigError, match="another databot"):
            async with place.open():
                pass
        await store.inbox.ingest("t1", message())
    async with place.open() as store:
        assert len(await unfinished(store)) == 1


async def test_a_command_beside_the_daemon_reads_and_writes_the_same_conversations(
    place: Place,
) -> None:
    async with place.open() as daemon, place.open(exclusive=False) as command:
        await finish(daemon, "t1", message(), "from the daemon")
        assert len(await command.journal.history(CHAT, 5)) == 2
        async with asyncio.timeout(60):
            accepted = await asyncio.gather(
                *(daemon.inbox.ingest(f"d{n}", message()) for n in range(20)),
                *(command.inbox.ingest(f"c{n}", message()) for n in range(20)),
            )
        assert len({item.seq for item in accepted}) == 40
        assert await daemon.check() == await command.check()


async def test_a_command_does_not_change_the_tables_under_a_running_daemon(place: Place) -> None:
    daemon = OwnerLock(path_of(place.url))
    daemon.take()
    with pytest.raises(ConfigError, match="another databot"):
        async with place.open(exclusive=False):
            pass
    daemon.release()
    async with place.open(exclusive=False) as store:
        assert await store.inbox.open_by_tenant() == {}


ACCEPT_UNTIL_KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from databot.storage.open import open_store
from databot.types.clock import RandomIds, SystemClock
from tests.storage.parts import message

async def main():
    async with open_store(sys.argv[1], Path(sys.argv[2]), SystemClock(), RandomIds()) as store:
        async def talk(chat):
            for number in itertools.count():
                turn = f"{chat}-{number}"
                await store.inbox.ingest(turn, message("x" * 500, chat_id=f"c{chat}"))
                sys.stdout.write(turn + "\\n")
                sys.stdout.flush()
        await asyncio.gather(*(talk(chat) for chat in range(8)))

asyncio.run(main())
"""


async def test_every_message_acknowledged_before_a_kill_is_there_afterwards(place: Place) -> None:
    command = [sys.executable, "-c", ACCEPT_UNTIL_KILLED, place.url, str(place.data_dir)]
    async with asyncio.timeout(60):
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        lines = [await process.stdout.readline() for _ in range(200)]
        process.kill()
        lines.append(await process.stdout.read())
        await process.wait()
    acknowledged = b"".join(lines).decode().rpartition("\n")[0].split("\n")
    async with place.open() as store:
        chats = [message(chat_id=f"c{chat}").conversation for chat in range(8)]
        kept = {record.turn_id for record in await unfinished(store, *chats)}
    assert len(acknowledged) >= 200
    assert set(acknowledged) <= kept


def test_a_library_without_returning_is_refused() -> None:
    require_version((3, 35, 0))
    with pytest.raises(ConfigError, match=r"3\.34\.1"):
        require_version((3, 34, 1))


async def test_writes_taken_before_closing_are_committed(place: Place) -> None:
    async with place.open() as store:
        await store.inbox.ingest("t1", message())
        # It rides with the next commit, and there is none but closing.
        assert await store.claims.claim(CHAT, certain=False)
    async with place.open() as store:
        (record,) = await unfinished(store)
        assert record.state == "running"


async def test_a_unit_that_fails_takes_nothing_with_it(database: SqliteDatabase) -> None:
    put = Query(sql="INSERT INTO memory VALUES ('t', 'p', ?, ?, 0)", names=("key", "value"))
    good = [((put, {"key": f"k{n}", "value": "v"}),) for n in range(5)]
    half = ((put, {"key": "half", "value": "v"}), (put, {"key": "k0", "value": "v"}))
    odd = ((put, {"key": "odd", "value": object()}),)
    results = await asyncio.gather(
        *(database.write(unit) for unit in (*good, half, odd)), return_exceptions=True
    )
    assert [isinstance(result, StorageError) for result in results] == [False] * 5 + [True] * 2
    keys = await database.read(
        Query(sql="SELECT key FROM memory ORDER BY key", names=()),
        {},
        lambda rows: [r[0] for r in rows],
    )
    assert keys == ["k0", "k1", "k2", "k3", "k4"]


async def test_a_statement_the_database_refuses_is_an_error_without_its_values(
    database: SqliteDatabase,
) -> None:
    with pytest.raises(StorageError) as caught:
        await database.read(
            Query(sql="SELECT * FROM nowhere WHERE ? = 1", names=("x",)), {"x": "secret"}, len
        )
    assert "secret" not in str(caught.value)


async def test_a_caller_that_gives_up_disturbs_nobody(store: Store) -> None:
    async with asyncio.timeout(60):
        tasks = [asyncio.ensure_future(store.inbox.ingest(f"t{n}", message())) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    kept = {item.turn_id for item in await unfinished(store)}
    assert {f"t{n}" for n in range(1, 20, 2)} <= kept
    assert all(isinstance(item, asyncio.CancelledError) for item in results[::2])


async def test_what_is_asked_often_reads_no_more_than_it_gives(database: SqliteDatabase) -> None:
    asked_often = (
        (TAKE, "autoindex_conversation"),
        (BEGIN, "INTEGER PRIMARY KEY"),
        (OPEN_IN_ONE, "autoindex_conversation"),
        (STRANDED, "ix_inbox_open"),
        (OPEN_BY_TENANT, "ix_inbox_open"),
        (DEAD, "ix_inbox_dead"),
        (FIND, "autoindex_conversation"),
    )
    for statement, index in asked_often:
        query = database.prepare(statement)
        plan = await database.read(
            replace(query, sql=f"EXPLAIN QUERY PLAN {query.sql}"),
            dict.fromkeys(query.names, "x"),
            lambda rows: [row[3] for row in rows],
        )
        assert index in plan[0]
        assert not any("TEMP B-TREE FOR ORDER" in step for step in plan)
        assert not any(step in {"SCAN inbox", "SCAN conversation"} for step in plan)
