"""The contract of the engine, as doors see it: accept a message, watch its turn, stop it.

Channels, the gateway, the terminal and the Python face all come through here and nowhere else.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from databot.dispatch.base import NumberedEvent
from databot.storage.base import Accepted
from databot.types.messages import InboundMessage

Wake = Callable[[], None]


class Watch(Protocol):
    """A reader's place in a turn's stream.

    The reader takes events when it is ready for them: what it has not taken waits in the stream, which is bounded, and
    a slow reader holds nobody up.
    """

    @property
    def fresh(self) -> bool:
        """There is something to take, or nothing will come any more."""
        ...

    @property
    def ended(self) -> bool:
        """The last event was taken; nothing comes after it."""
        ...

    def take(self) -> Sequence[NumberedEvent]:
        """What came since the last time, in order; empty when there is nothing new."""
        ...

    def close(self) -> None:
        """Forget this reader; the turn goes on."""
        ...


class Engine(Protocol):
    """Accepts messages and tells what becomes of them."""

    async def publish(self, message: InboundMessage) -> Accepted:
        """Commit the message; when this returns it will be answered.

        Raises before anything is kept: `NotFound` (bot), `RequestError` (empty, unknown agent), `TooLarge`,
        `Busy` (too much is waiting), `StorageUnavailable`.
        """
        ...

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        """Read the turn's events numbered above `after`, from the first kept one to the terminal one.

        `wake`, which must be quick, is called with every event that comes later; whether there is something to take
        already, the watch knows. A turn that ended long ago gives its final events from the journal. Raises `NotFound`.
        """
        ...

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        """Stop a turn, its model call and its queries; a turn that has ended stays as it is. Raises `NotFound`."""
        ...


async def follow(
    engine: Engine, tenant_id: str, turn_id: str, *, after: int = 0
) -> AsyncGenerator[NumberedEvent]:
    """The turn's events one by one, up to the terminal one; leaving early does not stop the turn.

    Raises what `Engine.watch` raises, at the first step.
    """
    news = asyncio.Event()
    watch = await engine.watch(tenant_id, turn_id, news.set, after=after)
    try:
        while True:
            news.clear()
            for item in watch.take():
                yield item
            if watch.ended:
                return
            await news.wait()
    finally:
        watch.close()
