"""Folding a stream of chunks into its reply."""

from collections.abc import AsyncGenerator, AsyncIterator

from databot.types.chat import ChatChunk, ChatReply
from databot.types.closing import closing
from databot.types.errors import ProviderBadResponse

ChunkStream = AsyncGenerator[ChatChunk, None]
"""What our providers yield from: a generator, so that leaving it can close the call."""


async def fold(name: str, stream: AsyncIterator[ChatChunk]) -> ChatReply:
    """The reply that ends `stream`, which is closed on every path.

    Raises:
        ProviderBadResponse: the stream ended without one.
    """
    async with closing(stream) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, ChatReply):
                return chunk
    raise ProviderBadResponse(f"{name} ended its stream without an answer")
