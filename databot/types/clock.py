"""Time and identity, behind seams.

Nothing in databot calls `time.time`, `datetime.now`, `uuid` or `random` directly: it is handed a `Clock` and an
`Ids`, so that a run can be replayed and a test can hold time still. `databot.testing` has the fakes.
"""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


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

    The time prefix keeps B-tree inserts at the right edge; the random part makes an id a poor guess.
    """

    def new(self, prefix: str) -> str:
        return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
