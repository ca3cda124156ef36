"""Readers here of turns that run elsewhere: they say what they want, take what comes, in order, without gap or repeat.

Every message says what came before it: one that does not follow on what a reader has is left, and the rest asked for
again. Knows no database: what it has to say goes through `post`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count

from databot.dispatch.base import NumberedEvent, TurnKey
from databot.dispatch.procrastinate.wire import Left, Message, Told, Want, Wants
from databot.types.events import TERMINAL

MOST_WAITING = 4_000
PER_MESSAGE = 100


@dataclass(slots=True)
class Subscription:
    """One reader: `last` is the number of the last event it has, taken or waiting."""

    turn: TurnKey
    last: int
    lacking: bool = False
    waiting: deque[NumberedEvent] = field(default_factory=deque[NumberedEvent])
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, told: Told) -> None:
        for item in told.items:
            if item.number > self.last:
                self.waiting.append(item)
        self.last = max(self.last, told.last)
        self.lacking = False
        self.woken.set()


class Listening:
    """The readers of this replica; `channel` is where it hears the answers."""

    def __init__(self, channel: str, post: Callable[[Message], None]) -> None:
        self._channel = channel
        self._post = post
        self._readers: dict[str, Subscription] = {}
        self._numbers = count(1)

    async def listen(self, turn: TurnKey, after: int) -> AsyncIterator[NumberedEvent]:
        """The events of the turn above `after`, until the terminal one."""
        name = f"{self._channel}.{next(self._numbers)}"
        reader = self._readers[name] = Subscription(turn, after)
        self._want([name], again=False)
        try:
            while True:
                await reader.woken.wait()
                reader.woken.clear()
                while reader.waiting:
                    item = reader.waiting.popleft()
                    yield item
                    if isinstance(item.event, TERMINAL):
                        return
        finally:
            del self._readers[name]
            self._post(Left(reader=name))

    def told(self, told: Told) -> None:
        """What another replica tells a reader; for one that has left it is nothing."""
        reader = self._readers.get(told.reader)
        if reader is None or len(reader.waiting) >= MOST_WAITING:  # asked for again with the next
            return
        if told.previous <= reader.last:
            reader.take(told)
        elif not reader.lacking:
            reader.lacking = True
            self._want([told.reader], again=True)

    def want_all(self, *, again: bool) -> None:
        """Say what every reader wants; `again` where what was sent meanwhile may be lost."""
        names = list(self._readers)
        for begin in range(0, len(names), PER_MESSAGE):
            self._want(names[begin : begin + PER_MESSAGE], again=again)

    def _want(self, names: list[str], *, again: bool) -> None:
        wants = [
            Want(reader=name, turn=reader.turn, after=reader.last, again=again)
            for name, reader in ((name, self._readers[name]) for name in names)
        ]
        self._post(Wants(channel=self._channel, wants=tuple(wants)))
