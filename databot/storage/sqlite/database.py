"""The embedded database as the store sees it: group-committed writes, reads beside them, nothing on the loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Column, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.sql.expression import ClauseElement

from databot.storage.database import Action, Params, Query, Row, T, compile_query
from databot.storage.sqlite.connection import connect, require_version
from databot.storage.sqlite.errors import translate_at_open
from databot.storage.sqlite.files import OwnerLock, make_file
from databot.storage.sqlite.mailbox import Mailbox
from databot.storage.sqlite.migrating import migrate
from databot.storage.sqlite.readers import Readers
from databot.storage.sqlite.writer import Job, Rows, Writer

READERS = 2


class SqliteDatabase:
    """One file, one writer thread, two reader threads."""

    def __init__(
        self, path: Path, connections: Sequence[sqlite3.Connection], lock: OwnerLock
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialect = sqlite.dialect(paramstyle="qmark")
        self._connections = connections
        self._lock = lock
        mailbox = Mailbox(self._loop)
        self._writer = Writer(connections[0], self._loop, mailbox, path)
        self._readers = Readers(connections[1:], self._loop, mailbox, path)
        self.where = f"SQLite {path}"

    @classmethod
    async def open(cls, path: Path, *, exclusive: bool) -> Self:
        """Open the file, creating it or bringing its tables up to date.

        Raises:
            ConfigError: another daemon owns it, it is no database, or it was made by a newer databot.
            StorageUnavailable: it is locked, read-only, or the disk is full.
        """
        lock = OwnerLock(path)
        connections = await asyncio.to_thread(prepare_file, path, lock, exclusive)
        return cls(path, connections, lock)

    def prepare(self, statement: ClauseElement) -> Query:
        return compile_query(statement, self._dialect)

    def prepare_insert(self, statement: Insert, number: Column[Any]) -> Query:
        assert number is number.table.autoincrement_column  # SQLite's own row number
        return replace(self.prepare(statement), numbers=True)

    def prepare_each(self, statement: Update) -> Query:
        return self.prepare(statement)

    async def read(self, query: Query, params: Params, decode: Callable[[Sequence[Row]], T]) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._readers.submit((query.sql, query.values(params), decode, future))
        return await future

    async def write(self, unit: Sequence[Action], *, durable: bool = True) -> Rows:
        future: asyncio.Future[Rows] = self._loop.create_future()
        self._writer.submit(Job(unit, future, durable))
        return await future

    async def write_each(self, query: Query, batch: Sequence[Params]) -> Rows:
        return await self.write([(query, params) for params in batch]) if batch else []

    async def aclose(self) -> None:
        self._readers.close()
        self._writer.close()
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        self._readers.join()
        self._writer.join()
        for connection in reversed(self._connections):
            connection.close()
        self._lock.release()


def prepare_file(path: Path, lock: OwnerLock, exclusive: bool) -> list[sqlite3.Connection]:
    """Everything that opening takes and that blocks: the file, the lock, the tables, the connections."""
    require_version(sqlite3.sqlite_version_info)
    make_file(path)
    with ExitStack() as undo:
        undo.callback(lock.release)
        if exclusive:
            lock.take()
        try:
            connections = [undo.enter_context(closing(connect(path)))]
            migrate(connections[0], path, lock if not exclusive else None)
            connections += [
                undo.enter_context(closing(connect(path, read_only=True))) for _ in range(READERS)
            ]
        except sqlite3.Error as error:
            raise translate_at_open(error, path) from error
        undo.pop_all()  # it is open: from here on `aclose` gives everything back
    return connections
