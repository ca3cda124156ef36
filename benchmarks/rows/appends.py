"""A step appended to the journal, in each database: with group commit, beside a transaction for each step.

The baseline is the same statement on the same file or server: on SQLite one commit after another, on PostgreSQL through
a pool of 16 connections. Rates are by the clock; the note has the median and the slowest hundredth of one append.
PostgreSQL is measured where DATABOT_TEST_POSTGRES_URL names a server (see .ci/servers.sh).
"""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.figures import Figure, Target, at_least
from benchmarks.measure import Case, Measured, Scale, interleaved, percentile
from benchmarks.rows.store import CONVERSATIONS, TEXT, message
from benchmarks.shared import own_schema
from databot.storage.base import Worker
from databot.storage.codec import encode_chat
from databot.storage.database import Database, Query
from databot.storage.journal import APPEND
from databot.storage.open import build_store, open_database
from databot.types.chat import ChatMessage
from databot.types.clock import RandomIds, SystemClock

CALLERS = ((1, 500), (32, 8_000), (256, 20_000))
PAYLOAD = encode_chat([ChatMessage(role="assistant", content=TEXT)])
POOL_SIZE = 16
TARGETS = {("PostgreSQL", 32): at_least(2), ("PostgreSQL", 256): at_least(4)}
Append = Callable[[int], Awaitable[object]]


async def store_group(scale: Scale) -> Sequence[Figure]:
    """Steps appended by 1, 32 and 256 callers that each wait for theirs."""
    figures = await measured("SQLite", sqlite, scale)
    if os.environ.get("DATABOT_TEST_POSTGRES_URL"):
        figures += await measured("PostgreSQL", postgres, scale)
    return figures


Places = Callable[[AsyncExitStack], Awaitable[tuple[Database, Append]]]


async def measured(name: str, place: Places, scale: Scale) -> list[Figure]:
    """Ours and the baseline, in one database."""
    async with AsyncExitStack() as stack:
        database, alone = await place(stack)
        await accept(database)
        query = database.prepare(APPEND)

        async def ours(number: int) -> None:
            await database.write(((query, step(number)),))

        numbers = count()
        waits: dict[str, list[float]] = {}
        cases: dict[str, Case] = {}
        for callers, times in CALLERS:
            for who, append, most in (("ours", ours, times), ("alone", alone, times // 4)):
                case = f"{who} {callers}"
                waits[case] = []
                enough = scale.count(max(most, 200))
                cases[case] = rate_case(append, numbers, enough, callers, waits[case])
        found = await interleaved(cases, scale.rounds)
    return [figure(found, waits, name, callers) for callers, _ in CALLERS]


async def accept(database: Database) -> None:
    """A turn in each conversation, to append to."""
    with tempfile.TemporaryDirectory(prefix="databot-bench-") as folder:
        store = build_store(
            database, Path(folder), SystemClock(), RandomIds(), Worker(name="bench")
        )
        for number in range(CONVERSATIONS):
            await store.inbox.ingest(f"t{number}", message(number))


def step(number: int) -> dict[str, Any]:
    """The parameters of a step of one of the turns."""
    turn_id = f"t{number % CONVERSATIONS}"
    return {"turn_id": turn_id, "fence": 0, "step": number, "now": number, "payload": PAYLOAD}


def rate_case(
    append: Append, numbers: "count[int]", times: int, callers: int, waits: list[float]
) -> Case:
    """Appends a second; how long each took goes to `waits`."""

    async def case() -> float:
        left = iter(range(times))

        async def caller() -> None:
            for _ in left:
                begun = time.perf_counter()
                await append(next(numbers))
                waits.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
        return times / (time.perf_counter() - begun)

    return case


def figure(found: Measured, waits: dict[str, list[float]], name: str, callers: int) -> Figure:
    ours, alone = f"ours {callers}", f"alone {callers}"
    p50, p99 = (percentile(waits[ours], share) * 1_000 for share in (0.5, 0.99))
    target: Target | None = TARGETS.get((name, callers))
    return Figure(
        row="store_group",
        what=f"{name}, {callers} callers",
        value=found.value(ours),
        unit="/s",
        baseline=found.value(alone),
        against="a transaction each",
        ratio=found.ratio(ours, alone),
        target=target,
        note=f"p50 {p50:.2f} ms, p99 {p99:.2f} ms",
    )


async def sqlite(stack: AsyncExitStack) -> tuple[Database, Append]:
    """A file, and a connection to it that commits each step by itself."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-")))
    database = await open_database(f"sqlite:///{folder}/databot.db", exclusive=True)
    stack.push_async_callback(database.aclose)
    raw = stack.enter_context(closing(sqlite3.connect(folder / "databot.db", isolation_level=None)))
    raw.execute("PRAGMA synchronous = FULL")
    query = database.prepare(APPEND)

    async def alone(number: int) -> None:
        raw.execute(query.sql, query.values(step(number))).fetchall()

    return database, alone


async def postgres(stack: AsyncExitStack) -> tuple[Database, Append]:
    """A schema of its own, and a pool that runs each step as a transaction, as databot did before."""
    import asyncpg

    url = await stack.enter_async_context(own_schema(os.environ["DATABOT_TEST_POSTGRES_URL"]))
    database = await open_database(url, exclusive=True)
    stack.push_async_callback(database.aclose)
    query: Query = database.prepare(APPEND)
    parts = urlsplit(url)
    pool = await stack.enter_async_context(
        asyncpg.create_pool(
            parts._replace(scheme="postgresql", query="").geturl(),
            max_size=POOL_SIZE,
            server_settings={"search_path": parts.query.rpartition("=")[2]},
        )
    )

    async def alone(number: int) -> None:
        await pool.fetch(query.sql, *query.values(step(number)))

    return database, alone
