"""A channel with a script, an outbox in memory, and a worker between them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from databot.channels.base import BaseChannel, Capabilities, ChannelConfig, Outbox, Publish
from databot.channels.outbox import OutboxWorker
from databot.types.clock import Clock
from databot.types.messages import OutboundMessage

SECONDS = 10


class Post(BaseChannel):
    """Raises what the `script` says, one entry a sending; afterwards everything is taken."""

    name = "post"

    def __init__(self, *script: BaseException | None, able: Capabilities | None = None) -> None:
        super().__init__(ChannelConfig())
        self.script = list(script)
        self.able = able or Capabilities()
        self.sends: list[str] = []
        self.looks: list[str] = []
        self.taken: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0

    def capabilities(self) -> Capabilities:
        return self.able

    async def run(self, publish: Publish) -> None:
        await asyncio.Event().wait()

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        self.sends.append(delivery_id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        self.taken[delivery_id] = message.content
        return f"post-{delivery_id}"

    async def find_sent(self, message: OutboundMessage, delivery_id: str) -> str | None:
        self.looks.append(delivery_id)
        return f"found-{delivery_id}" if delivery_id in self.taken else None


def reply(turn_id: str, *, chat_id: str = "chat", channel: str = "post") -> OutboundMessage:
    return OutboundMessage(
        channel=channel,
        chat_id=chat_id,
        content=f"answer to {turn_id}",
        turn_id=turn_id,
        session_id=chat_id,
    )


@asynccontextmanager
async def delivering(
    channels: Mapping[str, BaseChannel], outbox: Outbox, clock: Clock, *, worker: str = "worker_1"
) -> AsyncGenerator[OutboxWorker]:
    """A worker at work, stopped at the end; pauses are as long as they can be."""
    busy = OutboxWorker(channels, outbox, clock, worker=worker, chance=lambda: 1.0)
    running = asyncio.ensure_future(busy.run())
    try:
        yield busy
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it, giving everybody else their turns."""
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - whatever makes it hold tells nobody
            await asyncio.sleep(0)
