"""What waits to be sent to the engine: a bounded buffer that, when it is full, lets go of the least first.

Knows how much each parcel matters and weighs, and no engine. Whoever puts something in never waits.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from databot.types.messages import ConversationKey

MOST_PARCELS = 20_000
MOST_BYTES = 32_000_000


class Rank(IntEnum):
    """How much a parcel matters: the least goes first."""

    TEXT = 0
    """A piece of a reply, which comes whole at its end."""
    EVENT = 1
    """What readers would miss and not be told again."""
    VITAL = 2
    """The reply, the end of a turn, a signal, a notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A command of the engine. `size` is about its bytes; `signal` the conversation a signal is about.

    `stream` names the turn's stream it adds to, and `ends` says that nothing follows there.
    """

    command: tuple[str | bytes | int, ...]
    rank: Rank
    size: int = 200
    signal: ConversationKey | None = None
    stream: str = ""
    ends: bool = False


class Outgoing:
    """The parcels that wait, first in, first out. `lost` counts those there was no room for."""

    def __init__(self, *, most_parcels: int = MOST_PARCELS, most_bytes: int = MOST_BYTES) -> None:
        self.lost = 0
        self._parcels: deque[Parcel] = deque()
        self._counts = [0, 0, 0]
        self._bytes = 0
        self._most_parcels = most_parcels
        self._most_bytes = most_bytes
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Add a parcel; one of more weight pushes out lesser ones, and the oldest of its own."""
        if self._is_full():
            if parcel.rank is Rank.TEXT:
                self.lost += 1
                return
            self._make_room()
        self._parcels.append(parcel)
        self._count(parcel, 1)
        self._filled.set()

    def put_back(self, parcels: Sequence[Parcel]) -> None:
        """Put parcels that were taken and not sent in front again."""
        self._parcels.extendleft(reversed(parcels))
        for parcel in parcels:
            self._count(parcel, 1)
        if self._is_full():
            self._make_room()
        if self._parcels:
            self._filled.set()

    async def take(self, most: int) -> list[Parcel]:
        """The first ones, at least one; waits for it."""
        while not self._parcels:
            self._filled.clear()
            await self._filled.wait()
        taken = [self._parcels.popleft() for _ in range(min(most, len(self._parcels)))]
        for parcel in taken:
            self._count(parcel, -1)
        return taken

    def _is_full(self) -> bool:
        return len(self._parcels) >= self._most_parcels or self._bytes >= self._most_bytes

    def _make_room(self) -> None:
        for rank in (Rank.TEXT, Rank.EVENT):
            if self._counts[rank]:
                self._drop(rank)
            if not self._is_full():
                return
        while (
            self._is_full()
        ):  # of equals the oldest: whoever waits for it has looked elsewhere by now
            self._count(self._parcels.popleft(), -1)
            self.lost += 1

    def _drop(self, rank: Rank) -> None:
        kept = deque(parcel for parcel in self._parcels if parcel.rank is not rank)
        for parcel in self._parcels:
            if parcel.rank is rank:
                self._count(parcel, -1)
        self.lost += len(self._parcels) - len(kept)
        self._parcels = kept

    def _count(self, parcel: Parcel, by: int) -> None:
        self._counts[parcel.rank] += by
        self._bytes += by * parcel.size
