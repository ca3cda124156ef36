"""The events of turns that run here, for readers at other replicas: only while there are such readers.

NOTIFY makes commits wait for one another, so nothing is sent for a turn that nobody elsewhere reads: a reader says that it
wants the turn and says so again every few seconds; one that has been silent for longer is forgotten. Pure but for the
clock: what there is to send is asked for with `frames`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from databot.dispatch.base import NumberedEvent, TurnKey
from databot.dispatch.procrastinate.rings import Rings
from databot.dispatch.procrastinate.wire import Told, Want
from databot.types.clock import Clock
from databot.types.events import TERMINAL

READER_TTL_S = 12.0
MOST_READERS = 10_000
PER_FRAME = 200


@dataclass(slots=True, kw_only=True)
class Reader:
    """A reader elsewhere. `sent` is the last number it was sent, `marked` what that was when it last spoke."""

    turn: TurnKey
    channel: str
    sent: int
    marked: int
    until: float


class Telling:
    """Keeps the events, knows the readers, and makes what is to be sent to them."""

    def __init__(self, clock: Clock, rings: Rings | None = None) -> None:
        self._clock = clock
        self._rings = rings or Rings()
        self._readers: dict[str, Reader] = {}
        self._by_turn: dict[TurnKey, set[str]] = {}
        self._behind: set[str] = set()

    def tell(self, turn: TurnKey, item: NumberedEvent) -> bool:
        """Keep the event; says whether there is something to send now."""
        self._rings.add(turn, item)
        readers = self._by_turn.get(turn)
        if not readers:
            return False
        self._behind |= readers
        return True

    def want(self, want: Want, channel: str) -> None:
        """A reader has come, or is still there.

        What was sent before it spoke last and has not come since is lost: it is sent again.
        """
        reader = self._readers.get(want.reader)
        if reader is None:
            reader = self._add(want, channel)
            if reader is None:
                return
        elif want.again or want.after < reader.marked:
            reader.sent = want.after
        reader.marked = reader.sent
        reader.until = self._clock.monotonic() + READER_TTL_S
        self._behind.add(want.reader)

    def _add(self, want: Want, channel: str) -> Reader | None:
        if len(self._readers) >= MOST_READERS:
            self.forget_silent()
        if len(self._readers) >= MOST_READERS:
            return None
        reader = Reader(
            turn=want.turn, channel=channel, sent=want.after, marked=want.after, until=0
        )
        self._readers[want.reader] = reader
        self._by_turn.setdefault(want.turn, set()).add(want.reader)
        return reader

    def left(self, name: str) -> None:
        reader = self._readers.pop(name, None)
        self._behind.discard(name)
        if reader is None:
            return
        others = self._by_turn[reader.turn]
        others.discard(name)
        if not others:
            del self._by_turn[reader.turn]

    def forget_silent(self) -> None:
        """Drop the readers that have not been heard of for too long."""
        now = self._clock.monotonic()
        for name in [name for name, reader in self._readers.items() if reader.until < now]:
            self.left(name)

    def frames(self) -> Iterator[tuple[str, Told]]:
        """What each reader has not been sent yet, with its channel; counts as sent from here on."""
        while self._behind:
            name = self._behind.pop()
            reader = self._readers[name]
            items = self._rings.above(reader.turn, reader.sent)[:PER_FRAME]
            if not items:
                continue
            previous, reader.sent = reader.sent, items[-1].number
            yield (
                reader.channel,
                Told(reader=name, previous=previous, last=reader.sent, items=tuple(items)),
            )
            if not isinstance(items[-1].event, TERMINAL):
                self._behind.add(name)  # there may be more; the next round finds out
