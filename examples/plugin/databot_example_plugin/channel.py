"""The `line` channel: people talk to databot over TCP, a line a message (`nc 127.0.0.1 7070`).

    channels:
      line: {port: 7070}

A channel receives in `run` and delivers in `send`. It knows no bus: `publish` commits a message and gives its turn's id.
"""

import asyncio
from typing import ClassVar

from pydantic import Field

from databot.channels.base import BaseChannel, Capabilities, ChannelConfig, Publish
from databot.types.errors import DatabotError, describe
from databot.types.messages import InboundMessage, OutboundMessage, Principal


class LineConfig(ChannelConfig):
    """The channel's options. It has no authentication: keep it on loopback."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=7070, ge=0, le=65535, description="Port; 0 takes a free one.")


class LineChannel(BaseChannel):
    """A TCP server; each connection is a conversation."""

    name = "line"
    Config: ClassVar[type[ChannelConfig]] = LineConfig

    def __init__(self, config: LineConfig) -> None:
        super().__init__(config)
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Resolved with the port once the channel listens."""
        self._people: dict[str, asyncio.StreamWriter] = {}

    def capabilities(self) -> Capabilities:
        return Capabilities(max_length=10_000)

    async def run(self, publish: Publish) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._converse(reader, writer, publish)

        server = await asyncio.start_server(serve, self.config.host, self.config.port)
        async with server:
            if not self.port.done():
                self.port.set_result(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        del delivery_id  # a line has no place for it: after a crash a reply may be seen twice
        writer = self._people.get(message.chat_id)
        if writer is None:
            return None  # they have hung up; the conversation is kept all the same
        writer.write(f"{message.content}\n".encode())
        await writer.drain()
        return None

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, publish: Publish
    ) -> None:
        host, port = writer.get_extra_info("peername")[:2]
        chat_id = f"line-{host}-{port}"
        self._people[chat_id] = writer
        try:
            while line := await reader.readline():
                await self._hear(line, chat_id, writer, publish)
        except (ConnectionError, ValueError, asyncio.LimitOverrunError):
            pass  # cut off, or a line without an end: the conversation is over
        finally:
            del self._people[chat_id]
            writer.close()

    async def _hear(
        self, line: bytes, chat_id: str, writer: asyncio.StreamWriter, publish: Publish
    ) -> None:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        try:
            await publish(self.parse(text, chat_id))
        except DatabotError as error:  # refused, and the person is told why
            writer.write(f"{describe(error)}\n".encode())

    def parse(self, text: str, chat_id: str) -> InboundMessage:
        """A line as a message."""
        return InboundMessage(
            channel=self.name,
            chat_id=chat_id,
            sender_id=chat_id,
            content=text,
            principal=Principal(id=chat_id),
            bot_id=self.config.bot_id,
        )
