"""The last events of the turns that run here, kept for readers who come later. In memory, bounded, gone with the process."""

from collections import OrderedDict, deque
from itertools import takewhile

from databot.dispatch.base import NumberedEvent, TurnKey

PER_TURN = 2_000
AT_ALL = 200_000


class Rings:
    """A ring of events for each turn; where all together hold too many, the turns longest silent go first."""

    def __init__(self, *, per_turn: int = PER_TURN, at_all: int = AT_ALL) -> None:
        self._per_turn = per_turn
        self._at_all = at_all
        self._rings: OrderedDict[TurnKey, deque[NumberedEvent]] = OrderedDict()
        self._kept = 0

    def add(self, turn: TurnKey, item: NumberedEvent) -> None:
        ring = self._rings.get(turn)
        if ring is None:
            ring = self._rings[turn] = deque(maxlen=self._per_turn)
        else:
            self._rings.move_to_end(turn)
        self._kept += len(ring) < self._per_turn
        ring.append(item)
        while self._kept > self._at_all and len(self._rings) > 1:
            _, dropped = self._rings.popitem(last=False)
            self._kept -= len(dropped)

    def above(self, turn: TurnKey, number: int) -> list[NumberedEvent]:
        """What is kept of the turn with a higher number, in order."""
        ring = self._rings.get(turn, ())
        return list(takewhile(lambda item: item.number > number, reversed(ring)))[::-1]
