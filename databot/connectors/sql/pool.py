"""A bounded pool of connections, and the gate that bounds it.

Not asyncpg's or asyncmy's own pool: both engines need three things those do not give together — a bounded wait that is
told apart from a slow query, one repeat on a connection that died while idle, and dropping a connection whose statement
was cut short.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from databot.connectors.sql.driver import Target
from databot.connectors.sql.problems import closed, saturated, timed_out
from databot.types.errors import ConnectorError

T = TypeVar("T")
C = TypeVar("C")


class Stale(Exception):
    """A connection was found dead before the statement was sent; `problem` is what to raise if there is no other."""

    def __init__(self, problem: ConnectorError) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Gate:
    """At most `pool_size` at once; waiting longer than `pool_wait_s` raises a retryable `ConnectorError`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._slots = asyncio.Semaphore(target.pool_size)

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._target.pool_wait_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise saturated(self._target) from error
        try:
            yield
        finally:
            self._slots.release()


class Dialer(Protocol[C]):
    """Opens, judges and closes one kind of connection."""

    async def connect(self) -> C:
        """A new connection, within `CONNECT_TIMEOUT_S`; raises `ConnectorError`."""
        ...

    def usable(self, connection: C) -> bool:
        """Whether it is open, idle and outside a transaction."""
        ...

    async def hang_up(self, connection: C, *, working: bool) -> None:
        """Close it; `working` means a statement may still run on the server and must be ended. Never raises."""
        ...


class Pool(Generic[C]):
    """Lends connections, keeps idle ones, drops those whose work was cut short."""

    def __init__(self, target: Target, dialer: Dialer[C]) -> None:
        self._target = target
        self._dialer = dialer
        self._gate = Gate(target)
        self._idle: list[C] = []
        self._closed = False

    async def run(self, work: Callable[[C], Awaitable[T]], timeout_s: float) -> T:
        """`work` on a connection, within `timeout_s` once it has one.

        Whatever cuts the work short (cancellation, the time limit) ends it on the server too. A `ConnectorError` of
        the work leaves the connection in the pool as long as it is usable.
        """
        async with self._gate.slot():
            if self._closed:
                raise closed(self._target)
            if self._idle:
                try:
                    return await self._attempt(self._idle.pop(), work, timeout_s)
                except Stale:
                    pass
            try:
                return await self._attempt(await self._dialer.connect(), work, timeout_s)
            except Stale as error:
                raise error.problem from error

    async def _attempt(
        self, connection: C, work: Callable[[C], Awaitable[T]], timeout_s: float
    ) -> T:
        ended = False
        try:
            async with asyncio.timeout(timeout_s):
                result = await work(connection)
            ended = True
        except TimeoutError as error:
            raise timed_out(self._target, timeout_s) from error
        except (ConnectorError, Stale):
            ended = True
            raise
        finally:
            if ended and not self._closed and self._dialer.usable(connection):
                self._idle.append(connection)
            else:
                await self._dialer.hang_up(connection, working=not ended)
        return result

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            await self._dialer.hang_up(self._idle.pop(), working=False)
