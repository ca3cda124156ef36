"""The connections to PostgreSQL: a bounded pool, each unit one transaction, every wait with an end.

What the server says in passing (a connection that died, a failover, a deadlock) is tried again here for a moment; what
stays wrong is told as databot's errors.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from databot.storage.database import Action, Row
from databot.storage.postgres.address import Address
from databot.types.errors import MissingExtra, StorageUnavailable

if TYPE_CHECKING:
    from asyncpg import Pool
    from asyncpg.pool import PoolConnectionProxy

POOL_SIZE = 16
CONNECT_TIMEOUT_S = 10.0
ACQUIRE_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 10.0
IDLE_TIMEOUT = "5s"
"""A process that stands still inside a transaction lets go of its rows then: nobody waits for it any longer."""
PATIENCE_S = 2.0
"""How long a server that says "not now" is asked again: a standby just being promoted, no connection left."""
PAUSE_S = 0.1
TRIES = 5
"""How often a unit is run that the server wants repeated (a deadlock)."""
MAX_WAITING = 20_000


class Connections:
    """A pool of connections to one database."""

    def __init__(self, pool: "Pool", address: Address) -> None:
        self._pool = pool
        self._address = address
        self._waiting = 0
        self.where = f"PostgreSQL {address}"

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect and bring the tables up to date; raises as `PostgresDatabase.open`."""
        try:
            import asyncpg
        except ImportError as error:
            raise MissingExtra("storage in PostgreSQL", extra="postgres") from error
        from databot.storage.postgres.errors import translate_at_open
        from databot.storage.postgres.migrating import migrate

        try:
            pool = await asyncpg.create_pool(**pool_options(address))
            try:
                async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    await migrate(connection, address)
            except BaseException:  # boundary: nothing stays open, and the error goes on
                pool.terminate()
                raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise translate_at_open(error, address) from error
        return cls(pool, address)

    async def run(self, unit: Sequence[Action], *, tries: int = TRIES) -> list[Sequence[Row]]:
        """Run the unit as one transaction and give the rows of each statement.

        A lost attempt may have been committed all the same: every unit of the store may be run twice (see
        `Database.write`). `tries` counts only the attempts that the server wants repeated.

        Raises:
            StorageUnavailable: it could not be run now.
            StorageError: a statement is refused.
        """
        if self._waiting >= MAX_WAITING:
            raise StorageUnavailable(
                f"too much is waiting for the database {self._address}", hint="try again"
            )
        self._waiting += 1
        try:
            return await self._run(unit, tries)
        finally:
            self._waiting -= 1

    async def _run(self, unit: Sequence[Action], tries: int) -> list[Sequence[Row]]:
        from databot.storage.postgres.errors import translate

        patience = Patience(tries)
        while True:
            connection = await self._acquire(patience)
            try:
                return await run_on(connection, unit)
            except Exception as error:  # boundary: the driver's many errors become the store's few
                if not patience.with_unit(error):
                    raise translate(error, self._address) from error
                drop(connection, error)
            finally:
                await self._give_back(connection)
            await asyncio.sleep(patience.pause_s)

    async def _acquire(self, patience: "Patience") -> "PoolConnectionProxy":
        from databot.storage.postgres.errors import translate

        while True:
            try:
                return await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
            except Exception as error:  # boundary: the driver's many errors become the store's few
                if not patience.with_connecting(error):
                    raise translate(error, self._address) from error
            await asyncio.sleep(patience.pause_s)

    async def _give_back(self, connection: "PoolConnectionProxy") -> None:
        """Return a connection. What ran on it stands: one that died meanwhile is closed by the pool and not told."""
        from databot.storage.postgres.errors import LOST

        with suppress(*LOST):
            await self._pool.release(connection)

    async def aclose(self) -> None:
        """Close them all; safe to call more than once."""
        from databot.storage.postgres.errors import LOST

        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except LOST:  # a server that is gone cannot say goodbye; TimeoutError is one of these
            self._pool.terminate()


class Patience:
    """Whether to try again, and after which pause: the limits of one unit."""

    def __init__(self, tries: int) -> None:
        self._repeats = tries - 1
        self._losses = POOL_SIZE
        self._until: float | None = None
        self.pause_s = 0.0

    def with_unit(self, error: Exception) -> bool:
        """Whether a unit that failed so is run again.

        A server that restarts leaves dead connections in the pool, and each is found out only by using it.
        """
        from databot.storage.postgres.errors import is_lost, is_read_only, is_repeatable

        self.pause_s = 0.0
        if is_lost(error):
            self._losses -= 1
            return self._losses >= 0
        if is_repeatable(error):
            self._repeats -= 1
            return self._repeats >= 0
        return is_read_only(error) and self._wait()

    def with_connecting(self, error: Exception) -> bool:
        """Whether a connection is asked for again: when the server is there, and has none to give yet."""
        from databot.storage.postgres.errors import is_not_yet

        return is_not_yet(error) and self._wait()

    def _wait(self) -> bool:
        now = time.perf_counter()
        self._until = self._until or now + PATIENCE_S
        self.pause_s = PAUSE_S
        return now < self._until


def drop(connection: "PoolConnectionProxy", error: Exception) -> None:
    """End a connection that is dead, or leads to a server that is no longer the primary."""
    from asyncpg import InterfaceError

    from databot.storage.postgres.errors import is_repeatable

    if not is_repeatable(error):
        with suppress(InterfaceError):  # the driver had noticed and closed it already
            connection.terminate()


async def run_on(connection: "PoolConnectionProxy", unit: Sequence[Action]) -> list[Sequence[Row]]:
    if len(unit) == 1:  # one statement is a transaction by itself
        query, params = unit[0]
        return [await connection.fetch(query.sql, *query.values(params))]
    async with connection.transaction():
        return [await connection.fetch(query.sql, *query.values(params)) for query, params in unit]


async def set_up(connection: "PoolConnectionProxy") -> None:
    """What every new connection is told; not when it logs in, for a pooler in between may refuse that."""
    await connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}'")


async def leave_as_it_is(connection: "PoolConnectionProxy") -> None:
    """What the pool does when a connection comes back, instead of a round trip that undoes settings nobody made."""
    del connection


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
        "min_size": 0,  # a pool that keeps some open complains in the log while the server is gone
        "max_size": POOL_SIZE,
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "server_settings": settings,
        "init": set_up,
        "reset": leave_as_it_is,
    }
