"""The events of each turn, kept for a while in a ring so that a reader can come late, leave and come back.

Readers pull: a slow one holds nobody up. One that falls so far behind that the ring has moved on misses text deltas,
never the reply itself, which comes whole near the end. Tokens are kept here only; what must last is in the journal.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator

from databot.core.base import NumberedEvent
from databot.types.events import TERMINAL, StreamEvent

RING_SIZE = 2_000
ENDED_KEPT = 1_000
Key = tuple[str, str]
"""The tenant and its turn: no stream is found by a turn's id alone."""


class TurnStream:
    """The events of one turn, numbered from 1."""

    __slots__ = ("_events", "_last", "_waiters", "ended")

    def __init__(self) -> None:
        self._events: deque[NumberedEvent] = deque(maxlen=RING_SIZE)
        self._last = 0
        self._waiters: list[asyncio.Future[None]] = []
        self.ended = False

    def add(self, event: StreamEvent) -> None:
        self._last += 1
        self._events.append(NumberedEvent(number=self._last, event=event))
        self.ended = isinstance(event, TERMINAL)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def read(self, after: int) -> AsyncIterator[NumberedEvent]:
        """Every kept event above `after`, then each as it comes, up to the terminal one."""
        position = after
        while True:
            for item in self._newer(position):
                position = item.number
                yield item
            if self._last > position:
                continue
            if self.ended:
                return
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _newer(self, position: int) -> list[NumberedEvent]:
        missing = self._last - position
        if missing <= 0:
            return []
        if missing >= len(self._events):
            return list(self._events)
        return [self._events[index] for index in range(-missing, 0)]


class TurnStreams:
    """The streams of all open turns and of the last ended ones."""

    def __init__(self, *, ended_kept: int = ENDED_KEPT) -> None:
        self._streams: dict[Key, TurnStream] = {}
        self._ended: OrderedDict[Key, None] = OrderedDict()
        self._ended_kept = ended_kept

    def open(self, tenant_id: str, turn_id: str) -> TurnStream:
        """The turn's stream, made if there is none."""
        stream = self._streams.get((tenant_id, turn_id))
        if stream is None:
            stream = self._streams[tenant_id, turn_id] = TurnStream()
        return stream

    def get(self, tenant_id: str, turn_id: str) -> TurnStream | None:
        """The turn's stream, if it is still kept."""
        return self._streams.get((tenant_id, turn_id))

    def add(self, tenant_id: str, turn_id: str, event: StreamEvent) -> None:
        """Add an event; a turn's stream ends with its first terminal event and takes nothing after it."""
        stream = self.open(tenant_id, turn_id)
        if stream.ended:
            return
        stream.add(event)
        if stream.ended:
            self._ended[tenant_id, turn_id] = None
            while len(self._ended) > self._ended_kept:
                oldest, _ = self._ended.popitem(last=False)
                self._streams.pop(oldest, None)

    def open_turns(self) -> list[Key]:
        """The turns whose stream has not ended."""
        return [key for key, stream in self._streams.items() if not stream.ended]
