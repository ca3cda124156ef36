"""PostgreSQL as the store sees it: a bounded pool, each unit one transaction, every wait with an end."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Column
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import asyncpg as spelling
from sqlalchemy.sql.expression import ClauseElement

from databot.storage.database import Action, Params, Query, Row, T, compile_query
from databot.storage.postgres.address import Address
from databot.types.errors import MissingExtra

if TYPE_CHECKING:
    from asyncpg import Pool
    from asyncpg.pool import PoolConnectionProxy

POOL_SIZE = 16
CONNECT_TIMEOUT_S = 10.0
ACQUIRE_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 10.0


class PostgresDatabase:
    """A pool of connections to one database."""

    def __init__(self, pool: "Pool", address: Address) -> None:
        self._pool = pool
        self._address = address
        self._dialect = spelling.dialect()
        self.where = f"PostgreSQL {address}"

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect and bring the tables up to date.

        Raises:
            MissingExtra: asyncpg is not installed.
            ConfigError: the login or the database is refused, or the tables were made by a newer databot.
            StorageUnavailable: the server cannot be reached.
        """
        try:
            import asyncpg
        except ImportError as error:
            raise MissingExtra("storage in PostgreSQL", extra="postgres") from error
        from databot.storage.postgres.errors import translate_at_open
        from databot.storage.postgres.migrating import migrate

        try:
            pool = await asyncpg.create_pool(**pool_options(address))
            with ExitStack() as undo:
                undo.callback(pool.terminate)
                async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    await migrate(connection, address)
                undo.pop_all()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise translate_at_open(error, address) from error
        return cls(pool, address)

    def prepare(self, statement: ClauseElement) -> Query:
        return compile_query(statement, self._dialect)

    def prepare_insert(self, statement: Insert, number: Column[Any]) -> Query:
        return self.prepare(statement.returning(number))

    async def read(self, query: Query, params: Params, decode: Callable[[Sequence[Row]], T]) -> T:
        rows = (await self._run(((query, params),)))[0]
        return decode(rows)

    async def write(self, unit: Sequence[Action], *, durable: bool = True) -> list[Sequence[Row]]:
        del durable  # every unit is committed before this returns
        return await self._run(unit)

    async def _run(self, unit: Sequence[Action]) -> list[Sequence[Row]]:
        """Run the unit; on a connection that turns out to be dead, run it again on another.

        A server that restarts leaves dead connections in the pool, and each is found out only by using it. The lost
        attempt may have been committed all the same: every unit of the store may be run twice (see `Database.write`).
        """
        from asyncpg import InterfaceError

        from databot.storage.postgres.errors import is_lost, translate

        for left in reversed(range(POOL_SIZE + 1)):
            connection = await self._acquire()
            try:
                return await run_on(connection, unit)
            except Exception as error:  # boundary: the driver's many errors become the store's few
                if not (is_lost(error) and left):
                    raise translate(error, self._address) from error
                with suppress(InterfaceError):  # the driver had noticed and closed it already
                    connection.terminate()
            finally:
                await self._give_back(connection)
        raise AssertionError("the last attempt returns or raises")

    async def _give_back(self, connection: "PoolConnectionProxy") -> None:
        """Return a connection. What ran on it stands: one that died meanwhile is closed by the pool and not told."""
        from databot.storage.postgres.errors import LOST

        with suppress(*LOST):
            await self._pool.release(connection)

    async def _acquire(self) -> "PoolConnectionProxy":
        from databot.storage.postgres.errors import translate

        try:
            return await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except Exception as error:  # boundary: the driver's many errors become the store's few
            raise translate(error, self._address) from error

    async def aclose(self) -> None:
        from databot.storage.postgres.errors import LOST

        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except LOST:  # a server that is gone cannot say goodbye; TimeoutError is one of these
            self._pool.terminate()


async def run_on(connection: "PoolConnectionProxy", unit: Sequence[Action]) -> list[Sequence[Row]]:
    if len(unit) == 1:  # one statement is a transaction by itself
        query, params = unit[0]
        return [await connection.fetch(query.sql, *query.values(params))]
    async with connection.transaction():
        return [await connection.fetch(query.sql, *query.values(params)) for query, params in unit]


def pool_options(address: Address) -> dict[str, Any]:
    settings = {"application_name": "databot"}
    if address.search_path:
        settings["search_path"] = address.search_path
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "database": address.database,
        "ssl": address.ssl,
        "min_size": 1,
        "max_size": POOL_SIZE,
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "server_settings": settings,
    }
