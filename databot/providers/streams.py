"""Folding a stream of chunks into its reply, and giving the stream back at once when it is left early."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from databot.types.chat import ChatChunk, ChatReply
from databot.types.errors import ProviderBadResponse

ChunkStream = AsyncGenerator[ChatChunk, None]
"""What our providers yield from: a generator, so that leaving it can close the call."""


async def fold(name: str, stream: ChunkStream) -> ChatReply:
    """The reply that ends `stream`, which is closed on every path.

    Raises:
        ProviderBadResponse: the stream ended without one.
    """
    async with aclosing(stream):
        async for chunk in stream:
            if isinstance(chunk, ChatReply):
                return chunk
    raise ProviderBadResponse(f"{name} ended its stream without an answer")
