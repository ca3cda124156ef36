"""The events of each turn, kept for a while in a ring so that a reader can come late, leave and come back.

Readers pull: a slow one holds nobody up. One that falls so far behind that the ring has moved on misses text deltas,
never the reply itself, which comes whole near the end. Tokens are kept here only; what must last is in the journal.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence

from databot.core.base import NumberedEvent, Wake
from databot.types.events import TERMINAL, StreamEvent

RING_SIZE = 2_000
ENDED_KEPT = 1_000
Key = tuple[str, str]
"""The tenant and its turn: no stream is found by a turn's id alone."""


class TurnStream:
    """The events of one turn, numbered from 1."""

    __slots__ = ("_events", "_readers", "ended", "last")

    def __init__(self) -> None:
        self._events: deque[NumberedEvent] = deque(maxlen=RING_SIZE)
        self._readers: list[StreamWatch] = []
        self.last = 0
        self.ended = False

    def add(self, event: StreamEvent) -> None:
        self.last += 1
        self._events.append(NumberedEvent(number=self.last, event=event))
        self.ended = isinstance(event, TERMINAL)
        for reader in tuple(self._readers):
            reader.wake()

    def watch(self, wake: Wake, after: int) -> "StreamWatch":
        """A reader of the events above `after`."""
        reader = StreamWatch(self, wake, after)
        self._readers.append(reader)
        return reader

    def forget(self, reader: "StreamWatch") -> None:
        """Wake this reader no more."""
        if reader in self._readers:
            self._readers.remove(reader)

    def newer(self, position: int) -> Sequence[NumberedEvent]:
        """The kept events above a number."""
        missing = self.last - position
        if missing <= 0:
            return ()
        if missing >= len(self._events):
            return tuple(self._events)
        return [self._events[index] for index in range(-missing, 0)]


class StreamWatch:
    """Implements `Watch` on a stream."""

    __slots__ = ("_position", "_stream", "wake")

    def __init__(self, stream: TurnStream, wake: Wake, after: int) -> None:
        self._stream = stream
        self._position = after
        self.wake = wake

    @property
    def fresh(self) -> bool:
        return self._stream.ended or self._stream.last > self._position

    @property
    def ended(self) -> bool:
        return self._stream.ended and self._stream.last <= self._position

    def take(self) -> Sequence[NumberedEvent]:
        found = self._stream.newer(self._position)
        if found:
            self._position = found[-1].number
        return found

    def close(self) -> None:
        self._stream.forget(self)


class Ending:
    """Implements `Watch` on the final events of a turn whose stream is gone."""

    def __init__(self, events: Sequence[StreamEvent], after: int) -> None:
        self._events = [
            NumberedEvent(number=number, event=event)
            for number, event in enumerate(events, start=after + 1)
        ]

    @property
    def fresh(self) -> bool:
        return True

    @property
    def ended(self) -> bool:
        return not self._events

    def take(self) -> Sequence[NumberedEvent]:
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        self._events = []


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
