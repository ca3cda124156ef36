"""The connections to PostgreSQL: single ones, a small pool, and the schema ensured on the way."""

import asyncio
import selectors
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from databot.dispatch.procrastinate.address import Address
from databot.dispatch.procrastinate.schema import ensure_schema, versioned

POOL_SIZE = 6
ACQUIRE_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
AT_ONCE = 128
NOTIFY = (
    "SELECT pg_notify(channel, payload) FROM unnest(%s::text[], %s::text[]) AS t(channel, payload)"
)

Connection = AsyncConnection[TupleRow]


class Server:
    """One database of one server, and our schema in it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.schema = versioned(address.schema)
        self._settings: dict[str, Any] = address.settings() | {
            "options": f"-c search_path={self.schema}"
        }
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs=self._settings,
            min_size=1,
            max_size=POOL_SIZE,
            timeout=ACQUIRE_TIMEOUT_S,
            open=False,
            configure=commit_each,
            check=check_if_heard,
            name="databot-dispatch",
        )

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection of one's own; nothing it waits for comes before the schema is there.

        Raises:
            psycopg.Error, TimeoutError: it cannot be had.
        """
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            connection = await AsyncConnection.connect(**self._settings, autocommit=True)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S + 5):
                await ensure_schema(connection, self.schema)
            yield connection
        finally:
            await connection.close()

    async def notify(self, messages: list[tuple[str, str]]) -> None:
        """Send (channel, payload) pairs, in order.

        Raises:
            psycopg.Error, TimeoutError: some may not have been sent.
        """
        for begin in range(0, len(messages), AT_ONCE):
            channels, payloads = zip(*messages[begin : begin + AT_ONCE], strict=True)
            async with asyncio.timeout(COMMAND_TIMEOUT_S), self.pool.connection() as connection:
                await connection.execute(NOTIFY, (list(channels), list(payloads)))

    async def check(self) -> str:
        """The server's version. Raises `psycopg.Error`, `TimeoutError`."""
        async with self.connection() as connection, asyncio.timeout(COMMAND_TIMEOUT_S):
            await connection.execute("SELECT 1")
            version = connection.info.server_version
        return f"{version // 10_000}.{version % 10_000}"


async def commit_each(connection: Connection) -> None:
    """Every statement is its own transaction: said here, for procrastinate says it itself where it connects."""
    await connection.set_autocommit(True)


async def check_if_heard(connection: Connection) -> None:
    """Ask a connection whether it lives, but only one on which the server said something unasked: it does when it goes.

    Raises:
        psycopg.OperationalError: it is dead; the pool takes another.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        heard = selector.select(0)
    if heard:
        await AsyncConnectionPool.check_connection(connection)
