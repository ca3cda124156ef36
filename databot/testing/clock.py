"""Time and identity held still, for tests.

`FakeClock` moves only when it is told to, or, when it is `hurried`, by itself whenever somebody sleeps.
`SequentialIds` counts. Neither knows anything of what it is used for.
"""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock a test holds in its hand.

    `sleep` waits until `advance` has moved the time far enough. A `hurried` clock moves itself instead: each `sleep`
    advances the time and returns after giving other tasks one turn, so that retries and back-off run at once.
    `slept` keeps every length asked for, in seconds, in order.
    """

    def __init__(self, start: datetime = START, *, hurried: bool = False) -> None:
        self.slept: list[float] = []
        self._start = start
        self._elapsed = 0.0
        self._hurried = hurried
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._arrived = asyncio.Condition()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move the time on and wake everyone whose sleep is over."""
        self._elapsed += seconds
        due = [waker for at, waker in self._sleepers if at <= self._elapsed]
        self._sleepers = [(at, waker) for at, waker in self._sleepers if at > self._elapsed]
        for waker in due:
            if not waker.done():
                waker.set_result(None)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._hurried or seconds <= 0:
            self.advance(max(0.0, seconds))
            await asyncio.sleep(0)
            return
        waker = asyncio.get_running_loop().create_future()
        sleeper = (self._elapsed + seconds, waker)
        self._sleepers.append(sleeper)
        async with self._arrived:
            self._arrived.notify_all()
        try:
            await waker
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    async def until_sleeping(self, count: int = 1) -> None:
        """Wait until at least `count` tasks sleep by this clock; bound it with `asyncio.timeout`."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self._sleepers) >= count)


class SequentialIds:
    """Ids that count: `turn_000001`, `call_000002` …; later ones sort after earlier ones of the same prefix."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:06d}"
