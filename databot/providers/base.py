"""The contract of language-model providers.

A provider turns a `ChatRequest` into a stream that ends with the whole `ChatReply`. It knows no conversation, no tool
implementation and no retry policy: those wrap it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from databot.types.chat import ChatChunk, ChatReply, ChatRequest, TextChunk
from databot.types.closing import closing
from databot.types.errors import ProviderBadResponse


class LLMProvider(ABC):
    """A language model behind one vendor's protocol.

    Raises only `ProviderError`s. Closing the stream (`aclose`) or cancelling the task ends the call at the vendor.
    """

    name: str
    """What people read in `databot doctor` and `/model`."""

    @abstractmethod
    def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield text as it comes and, last and exactly once, the whole `ChatReply`."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        """The whole answer at once: the fold of the stream. Override where the vendor has a cheaper call."""
        async with closing(self.chat_stream(request)) as stream:
            async for chunk in stream:
                if not isinstance(chunk, TextChunk):
                    return chunk
        raise ProviderBadResponse(f"{self.name} ended its stream without an answer")

    def warm(self) -> None:
        """Do slow imports now; runs in a thread before the first call. Must be safe to call more than once."""

    async def aclose(self) -> None:
        """Give connections back. Safe to call more than once."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
