"""Keeping a message, and reading a conversation back, beside SQLite with nothing around it.

Appending is measured by the clock as well: waiting for the disk is what group commit saves, and it is not CPU time; so
that ratio grows with the disk's slowness. Every writer here runs with `synchronous=FULL`.
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
from benchmarks.measure import Case, Measured, Scale, cpu_us, interleaved
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


def cpu_case(append: Append, numbers: "count[int]", times: int) -> Case:
    """CPU microseconds of an append, of all threads, with 32 callers."""
    return lambda: cpu_us(times, rate_case(append, numbers, times, 32))


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
                cases["ours CPU"] = cpu_case(ours, numbers, scale.count(4_000))
                if theirs is not None:
                    cases["aiosqlite CPU"] = cpu_case(theirs, numbers, scale.count(1_000))
                found = await interleaved(cases, scale.rounds)
    return [
        append_figure(found, 32, "aiosqlite 32", at_least(10)),
        append_figure(found, 1, "aiosqlite 1", at_least(1 / 1.3)),
        append_figure(found, 32, "raw"),
        append_figure(found, 256, "raw"),
        figure(
            found, "32 callers", "us CPU", ("ours CPU", "aiosqlite CPU", "aiosqlite autocommit")
        ),
    ]


def append_figure(
    found: Measured, callers: int, against: str, target: Target | None = None
) -> Figure:
    """Our rate from so many callers beside another."""
    what = {"raw": "raw, 100 rows a commit"}.get(against, "aiosqlite autocommit")
    return figure(found, f"{callers} callers", "/s", (f"ours {callers}", against, what), target)


def figure(
    found: Measured, who: str, unit: str, cases: tuple[str, str, str], target: Target | None = None
) -> Figure:
    ours, theirs, against = cases
    known = theirs in found.rounds
    return Figure(
        row="store_append",
        what=f"accepted, {who}",
        value=found.value(ours),
        unit=unit,
        baseline=found.value(theirs) if known else None,
        against=against,
        ratio=found.ratio(ours, theirs) if known else None,
        target=target if known else None,
        note="" if known else "aiosqlite is not installed",
    )


TURNS_EACH = 100
LAST = 50
GOING_ON = 64
"""So many conversations at once is a busy house; what their rows decode to is remembered."""
Load = Callable[[str], Awaitable[Sequence[object]]]


async def fill(store: Store, path: Path, turns: int) -> None:
    """As many turns as asked: one conversation through the store, its rows copied under other names by SQLite."""
    ids = RandomIds()
    for number in range(TURNS_EACH):
        turn_id = ids.new("turn")
        await store.inbox.ingest(turn_id, message(0))
        claim = await store.claims.claim(message(0).conversation)
        assert claim is not None
        answer = ChatMessage(role="assistant", content=f"{number}: {TEXT}")
        step = Step(turn_id=turn_id, step=1, messages=(answer,))
        await store.claims.settle(claim, "done", steps=[step])
    await asyncio.to_thread(copy, path, turns // TURNS_EACH)


def copy(path: Path, conversations: int) -> None:
    """The first conversation, so many times, as if all had gone on side by side.

    Their turns lie between each other in the file, and no two say the same: nothing is remembered for another.
    """
    with closing(sqlite3.connect(path)) as db, db:
        others = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {conversations})"
        seq = f"{TURNS_EACH} + t.seq * {conversations} + i"
        own = "replace(t.{}, 'How many', i || ' How many')"
        for table, order, changed in (
            ("conversation", "t CROSS JOIN n", {"id": "i", "session_id": "'s' || i"}),
            (
                "inbox",
                "t CROSS JOIN n",
                {
                    "conversation_id": "i",
                    "turn_id": "t.turn_id || '.' || i",
                    "seq": seq,
                    "question": own.format("question"),
                },
            ),
            (
                "journal",
                "t JOIN n",
                {"conversation_id": "i", "seq": seq, "payload": own.format("payload")},
            ),
        ):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
            db.execute(f"INSERT INTO {table} {others} SELECT {values} FROM {table} {order}")


def load_case(sessions: Sequence[str], times: int, load: Load) -> Case:
    """CPU microseconds to read a conversation, one after another in an order that helps no cache."""

    async def case() -> float:
        async def read() -> None:
            for number in range(times):
                rows = await load(sessions[number * 7919 % len(sessions)])
                assert len(rows) == LAST

        return await cpu_us(times, read)

    return case


def fill_raw(raw: sqlite3.Connection, conversations: int) -> None:
    """The same messages in the raw table."""
    rows = ((f"s{c}", n, f"{n}: {TEXT}") for c in range(conversations) for n in range(200))
    with raw:
        raw.execute("BEGIN")
        raw.executemany(INSERT, rows)
        raw.execute("COMMIT")


async def store_load(scale: Scale) -> Sequence[Figure]:
    """The last 50 messages of a conversation, among a million: one of very many, and one of those that are going on."""
    messages, times = scale.count(1_000_000, 50_000), scale.count(2_000)
    conversations = messages // 2 // TURNS_EACH
    sessions = [f"s{number}" for number in range(2, conversations)]
    select = f"SELECT body FROM message WHERE session = ? ORDER BY seq DESC LIMIT {LAST}"
    with tempfile.TemporaryDirectory(prefix="databot-bench-") as name:
        folder = Path(name)
        with closing(raw_database(folder / "raw.db")) as raw:
            fill_raw(raw, conversations)
            async with our_store(folder) as store:
                await fill(store, folder / "databot.db", messages // 2)

                async def ours(session: str) -> Sequence[object]:
                    key = ConversationKey(tenant_id="default", bot_id="default", session_id=session)
                    return await store.journal.history(key, LAST // 2)

                async def theirs(session: str) -> Sequence[object]:
                    return raw.execute(select, (session,)).fetchall()

                cases = {
                    "ours": load_case(sessions, times, ours),
                    "raw": load_case(sessions, times, theirs),
                    "ours again": load_case(sessions[:GOING_ON], times, ours),
                    "raw again": load_case(sessions[:GOING_ON], times, theirs),
                }
                found = await interleaved(cases, scale.rounds)
    return [
        load_figure(found, f"last {LAST} of {messages:,}", "", at_most(2.7)),
        load_figure(found, f"the same, of {GOING_ON} going on", " again"),
    ]


def load_figure(found: Measured, what: str, kind: str, target: Target | None = None) -> Figure:
    """Our reading beside SQLite's own, which gives rows and makes nothing of them."""
    return Figure(
        row="store_load",
        what=what,
        value=found.value(f"ours{kind}"),
        unit="us CPU",
        baseline=found.value(f"raw{kind}"),
        against="raw sqlite3",
        ratio=found.ratio(f"ours{kind}", f"raw{kind}"),
        target=target,
    )
