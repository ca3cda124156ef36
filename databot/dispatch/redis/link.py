"""The way to one Redis: every command within a time limit, pauses that grow while it is away, outages told once.

Knows what commands are and not what they are for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from ssl import SSLContext
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from databot.dispatch.redis.address import RedisAddress
from databot.dispatch.redis.errors import TROUBLE, reason_of, unavailable
from databot.types.backoff import backoff_s, some_chance
from databot.types.clock import Clock
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
COMMAND_S = 5.0
CONNECT_S = 3.0
BLOCK_S = 2.0
CONNECTIONS = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 3.0
Command = Sequence[str | bytes | int]


class TlsConnection(SSLConnection):
    """A connection by a context of ours: the client's own takes no list of revoked certificates."""

    def __init__(self, *, context: SSLContext, **options: Any) -> None:  # noqa: ANN401 - the client's own
        super().__init__(**options)
        self.ssl_context.context = context


class RedisLink:
    """Runs commands, and keeps count of outages.

    An outage begins when the first of several `parts` (sending, reading …) is in trouble, and ends when none is.
    """

    def __init__(self, address: RedisAddress, context: SSLContext | None, clock: Clock) -> None:
        self.where = str(address)
        self.outages = 0
        self._clock = clock
        self._pool = pool_to(address, context)
        self._client = Redis(connection_pool=self._pool)
        self._client.response_callbacks.clear()  # answers as the wire has them: less work, one shape
        self._troubled: dict[str, int] = {}

    async def run(self, *command: str | bytes | int, limit_s: float | None = None) -> Any:  # noqa: ANN401 - any answer
        """One command's answer. Raises one of `TROUBLE`."""
        call = cast("Any", self._client).execute_command(*command)
        return await within(limit_s or COMMAND_S, call)

    async def run_all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of many commands sent at once; a refused one has its error as the answer. Raises as `run`."""
        pipeline: Any = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await within(COMMAND_S, pipeline.execute(raise_on_error=False))

    def is_well(self, part: str) -> bool:
        return part not in self._troubled

    def note_trouble(self, part: str, error: BaseException) -> None:
        """Say once that Redis is away, whichever part finds it first."""
        if not self._troubled:
            self.outages += 1
            what, hint = reason_of(error)
            log.warning(
                "Redis at %s %s (%s); databot goes on without it: nothing is lost, other replicas hear later",
                self.where,
                what,
                hint,
            )
        self._troubled[part] = self._troubled.get(part, 0) + 1

    def note_well(self, part: str) -> None:
        if self._troubled.pop(part, 0) and not self._troubled:
            log.warning("Redis at %s is back", self.where)

    async def pause(self, part: str) -> None:
        """Wait before the next try of a part in trouble: longer each time, and not the same in each replica."""
        tries = self._troubled.get(part, 1)
        pause = backoff_s(
            tries, some_chance(), base_s=FIRST_PAUSE_S, cap_s=LONGEST_PAUSE_S, least=0.5
        )
        await self._clock.sleep(pause)

    async def check(self) -> str:
        """The server's version and place. Raises `DispatchUnavailable`."""
        try:
            info = await self.run("INFO", "server")
        except TROUBLE as error:
            raise unavailable(error, self.where) from error
        return f"Redis {version_in(info)} at {self.where}"

    async def aclose(self) -> None:
        """Close all connections; one that hangs is let go."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._pool.disconnect()
        except TROUBLE:
            log.debug("a connection to Redis did not close in time")


async def within(limit_s: float, call: Awaitable[Any]) -> Any:  # noqa: ANN401 - what the call gives
    """The call's result. A cancellation that the client swallows counts all the same."""
    try:
        async with asyncio.timeout(limit_s):
            return await call
    finally:
        if was_asked_to_stop():
            raise asyncio.CancelledError


def pool_to(address: RedisAddress, context: SSLContext | None) -> BlockingConnectionPool:
    options: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": address.database,
        "username": address.user,
        "password": address.password,
        "socket_timeout": None,  # the client's own loses cancellations on Python 3.11; `within` bounds every call
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),  # who calls knows better what is worth a second try
        "protocol": 2,
        "client_name": "databot",
        "max_connections": CONNECTIONS,
        "timeout": COMMAND_S,
    }
    if context is None:
        return BlockingConnectionPool(connection_class=Connection, **options)
    return BlockingConnectionPool(connection_class=TlsConnection, context=context, **options)


def version_in(info: object) -> str:
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else ""
    found = [line.partition(":")[2] for line in text.split() if line.startswith("redis_version:")]
    return found[0] if found else "of an unknown version"
