"""Folding a stream of chunks into its reply, and giving a stream back at once when it is left early."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from databot.types.chat import ChatChunk, ChatReply
from databot.types.errors import ProviderBadResponse

ChunkStream = AsyncGenerator[ChatChunk, None]
"""What our providers yield from: a generator, so that leaving it can close the call."""


@asynccontextmanager
async def leaving(
    stream: AsyncIterator[ChatChunk],
) -> AsyncGenerator[AsyncIterator[ChatChunk]]:
    """`stream`, closed at the end if it can be closed, as generators can."""
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def fold(name: str, stream: AsyncIterator[ChatChunk]) -> ChatReply:
    """The reply that ends `stream`, which is closed on every path.

    Raises:
        ProviderBadResponse: the stream ended without one.
    """
    async with leaving(stream):
        async for chunk in stream:
            if isinstance(chunk, ChatReply):
                return chunk
    raise ProviderBadResponse(f"{name} ended its stream without an answer")
