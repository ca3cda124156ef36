"""The events of each turn, kept for a while in a ring so that a reader can come late, leave and come back.

Readers pull: a slow one holds nobody up. One that falls so far behind that the ring has moved on misses text deltas,
never the reply itself, which comes whole near the end. Tokens are kept here only; what must last is in the journal, and
a reader who comes when the stream is gone is told the end from there.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence

from databot.core.base import Wake
from databot.dispatch.base import NumberedEvent
from databot.types.clock import Clock, SystemClock
from databot.types.events import (
    TERMINAL,
    MessageCompleted,
    StreamEvent,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnRestarted,
)
from databot.types.messages import ConversationKey

RING_SIZE = 2_000
ENDED_KEPT = 1_000
RESTING_KEPT = 1_000
ENDED_BYTES = 64_000_000
PIECE_BYTES, EVENT_BYTES, CELL_BYTES = 200, 500, 100
Key = tuple[str, str]
"""The tenant and its turn: no stream is found by a turn's id alone."""


class TurnStream:
    """The events of one turn, in rising numbers.

    `elsewhere` means that another worker was seen to have the conversation: its events do not come by themselves.
    """

    __slots__ = ("_events", "_readers", "conversation", "elsewhere", "ended", "last")

    def __init__(self, conversation: ConversationKey | None = None) -> None:
        self._events: deque[NumberedEvent] = deque(maxlen=RING_SIZE)
        self._readers: list[StreamWatch] = []
        self.conversation = conversation
        self.last = 0
        self.ended = self.elsewhere = False

    @property
    def is_read(self) -> bool:
        """Somebody reads it."""
        return bool(self._readers)

    def add(self, event: StreamEvent) -> NumberedEvent:
        """Give the event, which happened here, its number."""
        self.elsewhere = False
        item = NumberedEvent(number=self.last + 1, event=event)
        self.put(item)
        return item

    def put(self, item: NumberedEvent) -> None:
        """Take an event that has its number; one that is here already is not taken twice."""
        if item.number <= self.last or self.ended:
            return
        self.last = item.number
        self._events.append(item)
        self.ended = isinstance(item.event, TERMINAL)
        for reader in tuple(self._readers):
            reader.wake()

    def number_above(self, number: int) -> None:
        """Give the events that come numbers above this one."""
        self.last = max(self.last, number)

    @property
    def weight(self) -> int:
        """About how many bytes its events hold."""
        return sum(weight(item.event) for item in self._events)

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
        found: list[NumberedEvent] = []
        for item in reversed(self._events):
            if item.number <= position:
                break
            found.append(item)
        return found[::-1]


class StreamWatch:
    """Implements `Watch` on a stream.

    A number that a running turn has not come to was given by a daemon before this one: its reader is told everything.
    """

    __slots__ = ("_position", "_stream", "wake")

    def __init__(self, stream: TurnStream, wake: Wake, after: int) -> None:
        self._stream = stream
        self._position = after if stream.ended or after <= stream.last else 0
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
    """The streams of all open turns and of the last ended ones, as far as `ended_kept` and `ended_bytes` go."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        ended_kept: int = ENDED_KEPT,
        ended_bytes: int = ENDED_BYTES,
    ) -> None:
        self._clock = clock or SystemClock()
        self._streams: dict[Key, TurnStream] = {}
        self._ended: OrderedDict[Key, int] = OrderedDict()
        self._resting: OrderedDict[Key, None] = OrderedDict()
        self._ended_kept = ended_kept
        self._room = ended_bytes

    def open(
        self, tenant_id: str, turn_id: str, conversation: ConversationKey | None = None
    ) -> TurnStream:
        """The turn's stream, made if there is none."""
        stream = self._streams.get((tenant_id, turn_id))
        if stream is None:
            stream = self._streams[tenant_id, turn_id] = TurnStream()
        stream.conversation = conversation or stream.conversation
        return stream

    def open_of(self, conversation: ConversationKey) -> list[tuple[str, TurnStream]]:
        """The conversation's turns whose streams have not ended."""
        return [
            (turn_id, stream)
            for (_, turn_id), stream in self._streams.items()
            if not stream.ended and stream.conversation == conversation
        ]

    def get(self, tenant_id: str, turn_id: str) -> TurnStream | None:
        """The turn's stream, if it is still kept."""
        return self._streams.get((tenant_id, turn_id))

    def add(self, tenant_id: str, turn_id: str, event: StreamEvent) -> NumberedEvent | None:
        """Add an event; a turn's stream ends with its first terminal event and takes nothing after it.

        Only a turn that goes on after it was broken off begins a new stream, above the numbers of the old one.
        """
        stream = self.open(tenant_id, turn_id)
        if isinstance(event, TurnRestarted):
            stream = self.renew(tenant_id, turn_id)
            stream.number_above(self._unheard_of())
        if stream.ended:
            return None
        item = stream.add(event)
        self._note_end((tenant_id, turn_id), stream)
        return item

    def put(self, tenant_id: str, turn_id: str, item: NumberedEvent) -> None:
        """Take an event of a turn that runs elsewhere, under its own number."""
        stream = self.open(tenant_id, turn_id)
        if isinstance(item.event, TurnRestarted) and item.number > stream.last:
            stream = self.renew(tenant_id, turn_id)
        was_ended = stream.ended
        stream.put(item)
        if not was_ended:
            self._note_end((tenant_id, turn_id), stream)

    def renew(self, tenant_id: str, turn_id: str) -> TurnStream:
        """The turn's stream; a new one, in numbers above, when the old one has ended though the turn has not."""
        old = self.open(tenant_id, turn_id)
        if not old.ended:
            return old
        self._room += self._ended.pop((tenant_id, turn_id), 0)
        stream = self._streams[tenant_id, turn_id] = TurnStream(old.conversation)
        stream.number_above(old.last)
        return stream

    def rest(self, tenant_id: str, turn_id: str) -> None:
        """The turn waits for a person, perhaps for days: the last such streams are kept, and those that are read."""
        self._resting[tenant_id, turn_id] = None
        self._resting.move_to_end((tenant_id, turn_id))
        if len(self._resting) > RESTING_KEPT:
            oldest, _ = self._resting.popitem(last=False)
            self.forget(*oldest)

    def forget(self, tenant_id: str, turn_id: str) -> None:
        """Let go of a stream that nobody reads and nobody fills."""
        stream = self._streams.get((tenant_id, turn_id))
        if stream is not None and not stream.ended and not stream.is_read:
            del self._streams[tenant_id, turn_id]

    def _note_end(self, key: Key, stream: TurnStream) -> None:
        if stream.ended:
            self._keep_ended(key, stream.weight)

    def open_turns(self) -> list[Key]:
        """The turns whose stream has not ended."""
        return [key for key, stream in self._streams.items() if not stream.ended]

    def _unheard_of(self) -> int:
        """A number above those a daemon before this one gave: no turn has an event for every millisecond.

        It stays below 2**53 for the next 280,000 years: JavaScript reads it as it is.
        """
        return int(self._clock.now().timestamp() * 1000)

    def _keep_ended(self, key: Key, weight: int) -> None:
        """Keep an ended stream, and let go of the oldest ones there is no room for beside it."""
        self._ended[key] = weight
        self._room -= weight
        while self._ended and (len(self._ended) > self._ended_kept or self._room < 0):
            oldest, freed = self._ended.popitem(last=False)
            self._room += freed
            self._streams.pop(oldest, None)


def weight(event: StreamEvent) -> int:
    """About how many bytes an event holds: what can be long in it, and a share for the rest."""
    match event:
        case TextDelta():
            return PIECE_BYTES + len(event.text)
        case ToolStarted():
            return EVENT_BYTES + len(str(event.args))
        case ToolFinished():
            cells = sum(len(item.sample) * len(item.columns) for item in event.evidence)
            return EVENT_BYTES + CELL_BYTES * cells + sum(len(e.statement) for e in event.evidence)
        case MessageCompleted():
            quotes = sum(len(citation.quote) for citation in event.message.citations)
            return EVENT_BYTES + len(event.message.content) + quotes
        case _:
            return EVENT_BYTES
