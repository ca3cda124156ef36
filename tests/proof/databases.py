"""The databases, opened so that a watcher sees every statement right before and right after the driver runs it.

What is opened is the store's own, with its own connections: only the last call into the driver goes through here.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import asyncpg
from sqlalchemy.sql.expression import ClauseElement

from databot.storage.database import Database, Query
from databot.storage.open import place_of
from databot.storage.postgres.address import Address
from databot.storage.postgres.connections import Connections, pool_options
from databot.storage.postgres.database import PostgresDatabase
from databot.storage.postgres.group import GroupCommit
from databot.storage.sqlite.database import SqliteDatabase, prepare_file
from databot.storage.sqlite.files import OwnerLock


class Watcher(Protocol):
    """Is told of statements, from any thread; what it raises is what the driver would have raised."""

    def before(self, statement: str) -> None: ...

    def after(self, statement: str) -> None: ...


SPELLED: dict[tuple[type, int], tuple[ClauseElement, Query]] = {}
"""Statements by who spelled them: a process that is forked again and again need not spell them each time."""


class RememberingSqlite(SqliteDatabase):
    def prepare(self, statement: ClauseElement) -> Query:
        return remembered(RememberingSqlite, statement, super().prepare)


class RememberingPostgres(PostgresDatabase):
    def prepare(self, statement: ClauseElement) -> Query:
        return remembered(RememberingPostgres, statement, super().prepare)


def remembered(
    kind: type, statement: ClauseElement, spell: Callable[[ClauseElement], Query]
) -> Query:
    key = kind, id(statement)
    if key not in SPELLED:
        SPELLED[key] = statement, spell(statement)  # the statement stays, and with it its id
    return SPELLED[key][1]


class WatchedSqlite:
    """A connection of SQLite's, as far as the store uses one."""

    def __init__(self, inner: sqlite3.Connection, watcher: Watcher) -> None:
        self._inner = inner
        self._watcher = watcher

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            self._watcher.before(sql)
        except sqlite3.Error as error:
            if undoes(error) and self._inner.in_transaction:
                self._inner.execute("ROLLBACK")
            raise
        cursor = self._inner.execute(sql, values)
        self._watcher.after(sql)
        return cursor

    def close(self) -> None:
        self._inner.close()


def undoes(error: sqlite3.Error) -> bool:
    """Whether SQLite itself undoes the transaction with such an error."""
    return error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR"))


@asynccontextmanager
async def open_watched(url: str, watcher: Watcher) -> AsyncGenerator[Database]:
    """The database at `url`, whose tables are there already, for the one daemon it has."""
    place = place_of(url)
    database = (
        await open_sqlite(place, watcher)
        if isinstance(place, Path)
        else await open_postgres(place, watcher)
    )
    try:
        yield database
    finally:
        await database.aclose()


async def open_sqlite(path: Path, watcher: Watcher) -> SqliteDatabase:
    lock = OwnerLock(path)
    connections = await asyncio.to_thread(prepare_file, path, lock, True)
    seen = [WatchedSqlite(connection, watcher) for connection in connections]
    return RememberingSqlite(path, cast("list[sqlite3.Connection]", seen), lock)


async def open_postgres(address: Address, watcher: Watcher) -> PostgresDatabase:
    pool = await asyncpg.create_pool(
        **pool_options(address), connection_class=watched_connection(watcher)
    )
    connections = Connections(pool, address)
    owned = AsyncExitStack()
    tasks = await owned.enter_async_context(asyncio.TaskGroup())
    together = partial(connections.run, tries=1)
    group = GroupCommit(together, connections.run, tasks, connections.where)
    return RememberingPostgres(connections, owned, group)


def watched_connection(watcher: Watcher) -> type[asyncpg.Connection]:
    """The class of a pool's connections; a statement outside of a transaction is followed by COMMIT in one go."""

    class Watched(asyncpg.Connection):
        async def fetch(self, query: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - asyncpg's
            alone = not self.is_in_transaction() and not query.startswith("SELECT")
            return await self._seen(super().fetch(query, *args, **kwargs), query, alone=alone)

        async def execute(self, query: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - asyncpg's
            return await self._seen(super().execute(query, *args, **kwargs), query)

        async def _seen(self, running: Any, query: str, *, alone: bool = False) -> Any:  # noqa: ANN401 - asyncpg's
            try:
                watcher.before(query)
                if alone:
                    watcher.before("COMMIT")
            except BaseException:
                running.close()
                raise
            result = await running
            watcher.after("COMMIT" if alone else query)
            return result

    return Watched
