"""Time and identity, behind seams.

Nothing in databot calls `time.time`, `datetime.now`, `uuid` or `random` directly: it is handed a `Clock` and an
`Ids`, so that a run can be replayed and a test can hold time still. `databot.testing` has the fakes.
"""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

RANDOM_BYTES = 8
IDS_AT_ONCE = 128


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The wall clock, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long by this clock."""
        ...


class Ids(Protocol):
    """Where new identifiers come from."""

    def new(self, prefix: str) -> str:
        """A new unguessable identifier such as `turn_018f…`; later ones sort after earlier ones."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class RandomIds:
    """Time-ordered random identifiers: 48 bits of milliseconds, then 64 random bits, in hex.

    The time prefix keeps B-tree inserts at the right edge; the random part makes an id a poor guess. Randomness is
    fetched from the operating system for many ids at once: a system call an id would give the interpreter away.
    """

    def __init__(self) -> None:
        self._pool = b""

    def new(self, prefix: str) -> str:
        if len(self._pool) < RANDOM_BYTES:
            self._pool = secrets.token_bytes(RANDOM_BYTES * IDS_AT_ONCE)
        fresh, self._pool = self._pool[:RANDOM_BYTES], self._pool[RANDOM_BYTES:]
        return f"{prefix}_{time.time_ns() // 1_000_000:012x}{fresh.hex()}"
