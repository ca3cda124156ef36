"""What is told before it is committed: claims that need not be certain, and what becomes of them in bad company."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from databot.storage.base import Claim, Worker
from databot.storage.database import Query
from databot.storage.open import Store, build_store
from databot.storage.sqlite import writer
from databot.storage.sqlite.database import SqliteDatabase, prepare_file
from databot.storage.sqlite.files import OwnerLock
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.errors import StorageError
from databot.types.messages import ConversationKey
from tests.storage.parts import message, said

LONG_S = 30.0
CHAT = message().conversation


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - used by pytest
    """What is not committed yet stays so until a test brings company."""
    monkeypatch.setattr(writer, "LINGER_S", LONG_S)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await SqliteDatabase.open(tmp_path / "databot.db", exclusive=True)
    async with asyncio.timeout(LONG_S / 2):
        yield opened
    await opened.aclose()


@pytest.fixture
def store(database: SqliteDatabase, tmp_path: Path) -> Store:
    return build_store(database, tmp_path, FakeClock(), SequentialIds(), Worker(name="w"))


def on_disk(folder: Path) -> list[tuple[str, str, int]]:
    """The turns as another process sees them."""
    with closing(sqlite3.connect(folder / "databot.db")) as other:
        return other.execute("SELECT turn_id, state, attempts FROM inbox ORDER BY seq").fetchall()


async def uncertain(store: Store, key: ConversationKey = CHAT) -> Claim:
    claim = await store.claims.claim(key, certain=False)
    assert claim is not None
    return claim


async def test_an_uncertain_claim_is_told_before_it_is_committed_and_then_with_the_next_write(
    store: Store, tmp_path: Path
) -> None:
    await store.inbox.ingest("t1", message())
    claim = await uncertain(store)
    assert on_disk(tmp_path) == [("t1", "queued", 0)]
    record = await store.inbox.turn("default", "t1")
    assert record
    assert record.state == "running"  # whoever asks us is told what we know
    await store.journal.append(claim, said("t1", "so far"))
    assert on_disk(tmp_path) == [("t1", "running", 1)]


async def test_any_later_write_brings_an_uncertain_claim_to_the_disk(
    store: Store, tmp_path: Path
) -> None:
    await store.inbox.ingest("t1", message())
    await uncertain(store)
    await store.memory.put("acme", "ada", "k", "v")
    assert on_disk(tmp_path) == [("t1", "running", 1)]


async def test_a_certain_claim_waits_for_nothing(store: Store, tmp_path: Path) -> None:
    await store.inbox.ingest("t1", message())
    assert await store.claims.claim(CHAT)
    assert on_disk(tmp_path) == [("t1", "running", 1)]


async def test_closing_commits_what_lingers_at_once(
    database: SqliteDatabase, store: Store, tmp_path: Path
) -> None:
    await store.inbox.ingest("t1", message())
    await uncertain(store)
    await database.aclose()
    assert on_disk(tmp_path) == [("t1", "running", 1)]


class Guilty:
    """A value no database takes; while it is being refused, in the writer's thread, a test may do something."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reached = asyncio.Event()
        self.go_on = Event()

    def __conform__(self, protocol: object) -> object:
        self.loop.call_soon_threadsafe(self.reached.set)
        self.go_on.wait(LONG_S)
        raise ValueError("refused")


async def test_a_unit_that_fails_takes_no_claim_with_it_that_was_told_before(
    database: SqliteDatabase, store: Store, tmp_path: Path
) -> None:
    chats = [message(chat_id=f"c{number}") for number in range(2)]
    for number, question in enumerate(chats):
        await store.inbox.ingest(f"t{number}", question)
    with closing(sqlite3.connect(tmp_path / "databot.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # until both claims wait, and are taken together
        blocked = asyncio.ensure_future(store.memory.put("acme", "ada", "k", "v"))
        await asyncio.sleep(0)
        claiming = [
            asyncio.ensure_future(uncertain(store, question.conversation)) for question in chats
        ]
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
    await blocked
    claims = await asyncio.gather(*claiming)
    guilty = Guilty()
    query = Query(sql="INSERT INTO memory VALUES ('t', 'p', 'k', ?, 0)", names=("value",))
    failing = asyncio.ensure_future(database.write([(query, {"value": guilty})]))
    await guilty.reached.wait()
    step = asyncio.ensure_future(store.journal.append(claims[1], said("t1", "kept")))
    await asyncio.sleep(0)
    guilty.go_on.set()
    with pytest.raises(StorageError):
        await failing
    await step
    await store.journal.append(claims[0], said("t0", "kept"))
    assert on_disk(tmp_path) == [("t0", "running", 1), ("t1", "running", 1)]
    assert [claim.fence for claim in claims] == [1, 1]
    for turn in ("t0", "t1"):
        assert list(await store.journal.steps(turn)) == [said(turn, "kept")]


async def test_a_claim_beside_a_unit_that_fails_counts_once(
    database: SqliteDatabase, store: Store, tmp_path: Path
) -> None:
    await store.inbox.ingest("t1", message())
    query = Query(sql="INSERT INTO nowhere VALUES (1)", names=())
    claim, failed = await asyncio.gather(
        uncertain(store), database.write([(query, {})]), return_exceptions=True
    )
    assert isinstance(claim, Claim)
    assert isinstance(failed, StorageError)
    await store.journal.append(claim, said("t1", "kept"))
    assert on_disk(tmp_path) == [("t1", "running", 1)]
    assert claim.attempt == 1


class Failing:
    """A connection on which one statement fails, once; `undone` when SQLite undoes the transaction with it."""

    def __init__(self, inner: sqlite3.Connection, statement: str, *, undone: bool) -> None:
        self._inner = inner
        self._statement = statement
        self._undone = undone

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        if sql == self._statement:
            self._statement = ""
            if self._undone:
                self._inner.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")
        return self._inner.execute(sql, values)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("undone", [False, True])
async def test_who_comes_behind_a_claim_is_told_though_the_savepoint_fails(
    tmp_path: Path, undone: bool
) -> None:
    path = tmp_path / "databot.db"
    first, *readers = prepare_file(path, OwnerLock(path), exclusive=True)
    failing = cast("sqlite3.Connection", Failing(first, "SAVEPOINT told", undone=undone))
    database = SqliteDatabase(path, [failing, *readers], OwnerLock(path))
    store = build_store(database, tmp_path, FakeClock(), SequentialIds(), Worker(name="w"))
    async with asyncio.timeout(LONG_S / 2):
        await store.inbox.ingest("t1", message())
        claim = await uncertain(store)
        await store.journal.append(claim, said("t1", "kept"))
    await database.aclose()
    assert on_disk(tmp_path) == [("t1", "running", 1)]
    assert claim.attempt == 1
