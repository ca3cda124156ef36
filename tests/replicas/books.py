"""The store read from outside: what the daemons wrote, without them."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any, Protocol

Row = Mapping[str, Any]
LOOK_S = 0.05
LET_GO_S = 10.0
"""Longer than any lease of these tests that runs out."""


class Books(Protocol):
    """Reads the tables."""

    @property
    def now(self) -> str:
        """Now as leases count it, in SQL."""
        ...

    async def select(self, sql: str) -> Sequence[Row]: ...


class SqliteBooks:
    """A file; each look is a connection of its own, so that nothing of ours stays in the way."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def now(self) -> str:
        return str(int(time.monotonic() * 1_000_000))

    async def select(self, sql: str) -> Sequence[Row]:
        return await asyncio.to_thread(self._select, sql)

    def _select(self, sql: str) -> Sequence[Row]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)) as file:
            file.row_factory = sqlite3.Row
            return [dict(row) for row in file.execute(sql)]


class PostgresBooks:
    """A database, over one connection."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg's
        self._connection = connection

    @property
    def now(self) -> str:
        return "extract(epoch from clock_timestamp()) * 1000000"

    async def select(self, sql: str) -> Sequence[Row]:
        return [dict(row) for row in await self._connection.fetch(sql)]


@asynccontextmanager
async def open_books(database: str) -> AsyncGenerator[Books]:
    """The books of a `postgresql://` URL, or of an SQLite file's path."""
    if not database.startswith("postgresql:"):
        yield SqliteBooks(database)
        return
    import asyncpg

    connection = await asyncpg.connect(database)
    try:
        yield PostgresBooks(connection)
    finally:
        await connection.close()


async def ended_turns(books: Books) -> int:
    [row] = await books.select("SELECT count(*) AS n FROM inbox WHERE ended_at IS NOT NULL")
    return row["n"]


async def until_ended(books: Books, turns: int, limit_s: float = 90.0) -> None:
    """Until so many turns have ended."""
    try:
        async with asyncio.timeout(limit_s):
            while await ended_turns(books) < turns:  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        left = await books.select(
            "SELECT turn_id, state, attempts, claims, owner, lease_until FROM inbox i"
            " JOIN conversation c ON c.id = i.conversation_id WHERE ended_at IS NULL LIMIT 20"
        )
        raise AssertionError(
            f"{turns} turns have not ended yet; some of the left: {left}"
        ) from None


async def still_owned(books: Books) -> int:
    """How many conversations somebody has and does not let go of, though nothing is left to do.

    A worker that comes too late has one for a moment; killed in it, until its lease is over.
    """
    sql = "SELECT id FROM conversation WHERE owner IS NOT NULL AND lease_until > "
    end = time.monotonic() + LET_GO_S
    while (owned := await books.select(sql + books.now)) and time.monotonic() < end:  # noqa: ASYNC110 - as above
        await asyncio.sleep(LOOK_S)
    return len(owned)
