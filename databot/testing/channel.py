"""A channel without a platform: messages are put in by the test, replies are collected."""

import asyncio

from databot.channels.base import BaseChannel, ChannelConfig, Publish
from databot.types.messages import InboundMessage, OutboundMessage, Principal


class MemoryChannel(BaseChannel):
    """`say` puts a person's message in, `next_reply` waits for what comes back."""

    name = "memory"

    def __init__(self, config: ChannelConfig | None = None) -> None:
        super().__init__(config or ChannelConfig())
        self._said: asyncio.Queue[InboundMessage] = asyncio.Queue()
        self._replies: asyncio.Queue[OutboundMessage] = asyncio.Queue()
        self.accepted: list[str] = []

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

    async def send(self, message: OutboundMessage) -> None:
        """Keep the reply for the test."""
        await self._replies.put(message)
