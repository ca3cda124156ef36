"""Dispatch within one process: signals are a queue, and a turn's events are where they were told already."""

import asyncio
from collections.abc import AsyncIterator

from databot.dispatch.base import Notice, NumberedEvent, TurnKey
from databot.types.messages import ConversationKey


class MemoryDispatch:
    """Implements `Dispatch` for a daemon that is alone."""

    shared = False

    def __init__(self) -> None:
        self._signals: asyncio.Queue[ConversationKey] = asyncio.Queue()
        self._listening: set[asyncio.Queue[Notice]] = set()

    async def signal(self, conversation: ConversationKey) -> None:
        self._signals.put_nowait(conversation)  # bounded by what may wait at all

    async def signals(self) -> AsyncIterator[ConversationKey]:
        while True:
            yield await self._signals.get()

    async def announce(self, notice: Notice) -> None:
        for queue in self._listening:
            queue.put_nowait(notice)

    async def notices(self) -> AsyncIterator[Notice]:
        queue: asyncio.Queue[Notice] = asyncio.Queue()
        self._listening.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listening.discard(queue)

    def tell(self, turn: TurnKey, item: NumberedEvent) -> None:
        del turn, item  # its readers are here

    async def listen(self, turn: TurnKey, *, after: int = 0) -> AsyncIterator[NumberedEvent]:
        """Nothing comes from elsewhere: waits until cancelled."""
        del turn, after
        await asyncio.Event().wait()
        for item in ():
            yield item

    async def check(self) -> str:
        return "in this process"
