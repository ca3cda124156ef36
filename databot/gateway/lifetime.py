"""How the gateway stops: first it takes no new work, then it lets work end, then it says goodbye.

A handler that waits for a turn stands in `waiting()`. When the drain is over, `close()` ends every wait at once with a
`TimeoutError` inside the handler, which then answers its client properly instead of being cut off.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager


class Lifetime:
    """The state of one gateway's life, shared by its handlers."""

    def __init__(self) -> None:
        self.draining = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._waits: set[asyncio.Timeout] = set()

    @contextmanager
    def busy(self) -> Generator["Busy"]:
        """Somebody waits for a turn here: the drain gives it time, as long as it is not a person the turn waits for."""
        busy = Busy(self)
        busy.hold(True)
        try:
            yield busy
        finally:
            busy.hold(False)

    def begin(self) -> None:
        """The same where it does not end in the function that began it."""
        self._busy += 1
        self._idle.clear()

    def end(self) -> None:
        """What `begin` began is over."""
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None]:
        """Raises `TimeoutError` in here as soon as the gateway closes."""
        if self._closed:
            raise TimeoutError
        async with asyncio.timeout(None) as limit:
            self._waits.add(limit)
            try:
                yield
            finally:
                self._waits.discard(limit)

    async def drain(self, seconds: float) -> bool:
        """Take no new work and wait for the running; says whether all of it ended in time."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End every wait now."""
        self.draining = self._closed = True
        now = asyncio.get_running_loop().time()
        for limit in tuple(self._waits):
            limit.reschedule(now)


class Busy:
    """One reader's part in keeping the drain waiting."""

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self._holds = False

    def hold(self, on: bool) -> None:
        """From now on the drain waits for this reader, or does not."""
        if on != self._holds:
            self._holds = on
            (self._lifetime.begin if on else self._lifetime.end)()
