"""PostgreSQL as the store sees it: single statements group-committed, other units one transaction each."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self

from sqlalchemy import Column, Update
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import asyncpg as spelling
from sqlalchemy.sql.expression import ClauseElement

from databot.storage.database import Action, Params, Query, Row, T
from databot.storage.postgres.address import Address
from databot.storage.postgres.batching import Batchable, compile_batchable
from databot.storage.postgres.connections import CLOSE_TIMEOUT_S, Connections
from databot.storage.postgres.each import Repeatable, compile_repeatable
from databot.storage.postgres.group import GroupCommit


class PostgresDatabase:
    """Implements `Database` over a pool of connections."""

    def __init__(self, connections: Connections, owned: AsyncExitStack, group: GroupCommit) -> None:
        self._connections = connections
        self._owned = owned
        self._group = group
        self._dialect = spelling.dialect()
        self.where = connections.where

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect and bring the tables up to date.

        Raises:
            MissingExtra: asyncpg is not installed.
            ConfigError: the login or the database is refused, or the tables were made by a newer databot.
            StorageUnavailable: the server cannot be reached.
        """
        connections = await Connections.open(address)
        owned = AsyncExitStack()
        tasks = await owned.enter_async_context(asyncio.TaskGroup())
        together = partial(connections.run, tries=1)
        return cls(
            connections, owned, GroupCommit(together, connections.run, tasks, connections.where)
        )

    def prepare(self, statement: ClauseElement) -> Query:
        return compile_batchable(statement, self._dialect)

    def prepare_insert(self, statement: Insert, number: Column[Any]) -> Query:
        return self.prepare(statement.returning(number))

    def prepare_each(self, statement: Update) -> Query:
        return compile_repeatable(statement, self._dialect)

    async def read(self, query: Query, params: Params, decode: Callable[[Sequence[Row]], T]) -> T:
        (rows,) = await self._connections.run(((query, params),))
        return decode(rows)

    async def write(self, unit: Sequence[Action], *, durable: bool = True) -> list[Sequence[Row]]:
        del durable  # every unit is committed before this returns
        query, params = unit[0]
        if len(unit) == 1 and isinstance(query, Batchable):
            return [await self._group.write(query, params)]
        return await self._connections.run(unit)

    async def write_each(self, query: Query, batch: Sequence[Params]) -> list[Sequence[Row]]:
        if not batch:
            return []
        assert isinstance(query, Repeatable)
        arrays = {name: [params[name] for params in batch] for name in query.many.names}
        (rows,) = await self._connections.run([(query.many, arrays)])
        found = query.results(rows, len(batch))
        alone = [
            self._alone(query, params, own)
            for params, own in zip(batch, found, strict=True)
            if not own  # there is nothing to update, or somebody has locked it
        ]
        for outcome in await asyncio.gather(*alone, return_exceptions=True):
            if outcome is not None:
                raise outcome
        return [*found]

    async def _alone(self, query: Query, params: Params, found: list[Row]) -> None:
        (rows,) = await self._connections.run([(query, params)])
        found.extend(rows)

    async def aclose(self) -> None:
        self._group.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._owned.aclose()
        except TimeoutError:  # what was still waiting has been told so
            pass
        await self._connections.aclose()
