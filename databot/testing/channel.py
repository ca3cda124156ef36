"""A channel without a platform: messages are put in by the test, replies are collected."""

import asyncio

from databot.channels.base import BaseChannel, Capabilities, ChannelConfig, Publish
from databot.types.messages import InboundMessage, OutboundMessage, Principal


class MemoryChannel(BaseChannel):
    """`say` puts a person's message in, `next_reply` waits for what comes back.

    `accepted` has the turns of what was said, `delivered` every reply by its delivery id.
    """

    name = "memory"

    def __init__(self, config: ChannelConfig | None = None) -> None:
        super().__init__(config or ChannelConfig())
        self._said: asyncio.Queue[InboundMessage] = asyncio.Queue()
        self._replies: asyncio.Queue[OutboundMessage] = asyncio.Queue()
        self.accepted: list[str] = []
        self.delivered: dict[str, OutboundMessage] = {}

    async def say(self, text: str, *, chat_id: str = "chat", message_id: str | None = None) -> None:
        """A person writes."""
        message = InboundMessage(
            channel=self.name,
            chat_id=chat_id,
            sender_id="ann",
            content=text,
            message_id=message_id,
            bot_id=self.config.bot_id,
            principal=Principal(id="ann"),
        )
        await self._said.put(message)

    async def next_reply(self, *, within_s: float = 10) -> OutboundMessage:
        """The next reply; `TimeoutError` when none comes."""
        async with asyncio.timeout(within_s):
            return await self._replies.get()

    async def run(self, publish: Publish) -> None:
        """Publish what is said."""
        while True:
            self.accepted.append(await publish(await self._said.get()))

    def capabilities(self) -> Capabilities:
        """It knows a delivery again, and shows it once."""
        return Capabilities(idempotent_sends=True)

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        """Keep the reply for the test; the same delivery again is the first one."""
        if delivery_id not in self.delivered:
            self.delivered[delivery_id] = message
            await self._replies.put(message)
        return f"sent {delivery_id}"
