"""Keeping a message, and reading a conversation back, beside SQLite with nothing around it.

Appending is measured by the clock: waiting for the disk is what group commit saves, and it is not CPU time. Every
writer here runs with `synchronous=FULL`.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Target, at_least, at_most
from benchmarks.measure import Case, Measured, Scale, interleaved
from databot.storage.base import Step
from databot.storage.open import Store, open_store
from databot.types.chat import ChatMessage
from databot.types.clock import RandomIds, SystemClock
from databot.types.messages import LOCAL_PRINCIPAL, ConversationKey, InboundMessage

TEXT = "How many orders did we ship to each country last week, and which grew? " * 3
"""About 210 characters."""
CONVERSATIONS = 100
SCHEMA = """
CREATE TABLE message (session TEXT, seq INTEGER, body TEXT, PRIMARY KEY (session, seq)) WITHOUT ROWID
"""
INSERT = "INSERT INTO message VALUES (?, ?, ?)"
Append = Callable[[int], Awaitable[object]]


@asynccontextmanager
async def our_store(folder: Path) -> AsyncGenerator[Store]:
    """Our store in a folder."""
    url = f"sqlite:///{folder / 'databot.db'}"
    async with open_store(url, folder, SystemClock(), RandomIds()) as store:
        yield store


def raw_database(path: Path) -> sqlite3.Connection:
    """One table and nothing else."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(SCHEMA)
    return connection


def message(number: int) -> InboundMessage:
    return InboundMessage(
        channel="bench",
        chat_id=f"s{number % CONVERSATIONS}",
        sender_id="local",
        content=TEXT,
        principal=LOCAL_PRINCIPAL,
    )


def rate_case(append: Append, numbers: "count[int]", times: int, callers: int) -> Case:
    """Appends a second, from so many callers that each wait for theirs."""

    async def case() -> float:
        left = iter(range(times))

        async def caller() -> None:
            for _ in left:
                await append(next(numbers))

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
        return times / (time.perf_counter() - begun)

    return case


def raw_case(connection: sqlite3.Connection, numbers: "count[int]", times: int) -> Case:
    """Rows a second in transactions of a hundred: as fast as this file can be written."""

    async def case() -> float:
        begun = time.perf_counter()
        for _ in range(0, times, 100):
            rows = [(f"s{n % CONVERSATIONS}", n, TEXT) for n in islice(numbers, 100)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")
        return times / (time.perf_counter() - begun)

    return case


@asynccontextmanager
async def aiosqlite_append(path: Path) -> AsyncGenerator[Append | None]:
    """aiosqlite with autocommit, as it is commonly used; `None` when it is not installed."""
    if find_spec("aiosqlite") is None:
        yield None
        return
    import aiosqlite  # pyright: ignore[reportMissingImports] - not a dependency

    with closing(raw_database(path)):
        pass
    connection: Any
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = FULL")

        async def append(number: int) -> None:
            values = (f"s{number % CONVERSATIONS}", number, TEXT)
            await connection.execute(INSERT, values)

        yield append


async def store_append(scale: Scale) -> Sequence[Figure]:
    """A message accepted: kept, numbered in its conversation, and on the disk."""
    with tempfile.TemporaryDirectory(prefix="databot-bench-") as name:
        folder = Path(name)
        numbers, ids = count(), RandomIds()
        with closing(raw_database(folder / "raw.db")) as raw:
            async with our_store(folder) as store, aiosqlite_append(folder / "aio.db") as theirs:

                async def ours(number: int) -> None:
                    await store.inbox.ingest(ids.new("turn"), message(number))

                cases: dict[str, Case] = {"raw": raw_case(raw, numbers, scale.count(20_000, 1_000))}
                for callers, times in ((32, 4_000), (256, 10_000), (1, 500)):
                    number = scale.count(times)
                    cases[f"ours {callers}"] = rate_case(ours, numbers, number, callers)
                    if theirs is not None and callers != 256:
                        few = scale.count(1_000)
                        cases[f"aiosqlite {callers}"] = rate_case(theirs, numbers, few, callers)
                found = await interleaved(cases, scale.rounds)
    return [
        append_figure(found, 32, "aiosqlite 32", at_least(10)),
        append_figure(found, 1, "aiosqlite 1", at_least(1 / 1.3)),
        append_figure(found, 32, "raw"),
        append_figure(found, 256, "raw"),
    ]


def append_figure(
    found: Measured, callers: int, against: str, target: Target | None = None
) -> Figure:
    """Our rate from so many callers beside another."""
    ours, known = f"ours {callers}", against in found.rounds
    return Figure(
        row="store_append",
        what=f"accepted, {callers} callers",
        value=found.value(ours),
        unit="/s",
        baseline=found.value(against) if known else None,
        against={"raw": "raw, 100 rows a commit"}.get(against, "aiosqlite autocommit"),
        ratio=found.ratio(ours, against) if known else None,
        target=target if known else None,
        note="" if known else "aiosqlite is not installed",
    )


TURNS_EACH = 100
LAST = 50


async def fill(store: Store, path: Path, turns: int) -> None:
    """As many turns as asked: one conversation through the store, its rows copied under other names by SQLite."""
    ids = RandomIds()
    for number in range(TURNS_EACH):
        turn_id = ids.new("turn")
        await store.inbox.ingest(turn_id, message(0))
        answer = ChatMessage(role="assistant", content=f"{number}: {TEXT}")
        step = Step(turn_id=turn_id, step=1, messages=(answer,))
        await store.inbox.settle(turn_id, "done", steps=[step])
    await asyncio.to_thread(copy, path, turns // TURNS_EACH)


def copy(path: Path, conversations: int) -> None:
    """The first conversation, so many times."""
    with closing(sqlite3.connect(path)) as db, db:
        others = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        for table, changed in (
            ("conversation", {"id": "i", "session_id": "'s' || i"}),
            ("inbox", {"conversation_id": "i", "turn_id": "t.turn_id || '.' || i"}),
            ("journal", {"conversation_id": "i"}),
        ):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
            db.execute(
                f"INSERT INTO {table} {others} SELECT {values} FROM n, {table} t", (conversations,)
            )


async def store_load(scale: Scale) -> Sequence[Figure]:
    """The last 50 messages of a conversation, among a million."""
    messages = scale.count(1_000_000, 50_000)
    times, key = scale.count(2_000), "SELECT body FROM message WHERE session = ? ORDER BY seq DESC"
    with tempfile.TemporaryDirectory(prefix="databot-bench-") as name:
        folder = Path(name)
        with closing(raw_database(folder / "raw.db")) as raw:
            conversations = messages // 2 // TURNS_EACH
            raw_rows = (
                (f"s{c}", n, f"{n}: {TEXT}") for c in range(conversations) for n in range(200)
            )
            with raw:
                raw.execute("BEGIN")
                raw.executemany(INSERT, raw_rows)
                raw.execute("COMMIT")
            async with our_store(folder) as store:
                await fill(store, folder / "databot.db", messages // 2)

                async def ours() -> float:
                    begun = time.process_time()
                    for number in range(times):
                        session = f"s{2 + number * 7919 % (conversations - 2)}"
                        conversation = ConversationKey(
                            tenant_id="default", bot_id="default", session_id=session
                        )
                        rows = await store.journal.history(conversation, LAST // 2)
                        assert len(rows) == LAST
                    return (time.process_time() - begun) / times * 1e6

                async def theirs() -> float:
                    begun = time.process_time()
                    for number in range(times):
                        session = f"s{number * 7919 % conversations}"
                        rows = raw.execute(f"{key} LIMIT {LAST}", (session,)).fetchall()
                        assert len(rows) == LAST
                    return (time.process_time() - begun) / times * 1e6

                found = await interleaved({"ours": ours, "raw": theirs}, scale.rounds)
    return [
        Figure(
            row="store_load",
            what=f"last {LAST} of {messages:,}",
            value=found.value("ours"),
            unit="us CPU",
            baseline=found.value("raw"),
            against="raw sqlite3",
            ratio=found.ratio("ours", "raw"),
            target=at_most(2.7),
        )
    ]
