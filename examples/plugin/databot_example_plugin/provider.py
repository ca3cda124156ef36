"""The `echo` provider: a "language model" that says back what it was told.

A provider turns a request into a stream of text that ends with the whole reply.
"""

from collections.abc import AsyncIterator

from databot.providers.base import LLMProvider
from databot.types.chat import ChatChunk, ChatReply, ChatRequest, TextChunk, Usage


class EchoProvider(LLMProvider):
    """Answers with the last message of the person, word by word."""

    name = "echo"

    async def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        said = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        words = said.split(" ")
        for position, word in enumerate(words):
            yield TextChunk(word if position == 0 else f" {word}")
        # The last thing a stream yields is the whole reply, exactly once.
        yield ChatReply(
            text=said,
            usage=Usage(input_tokens=len(words), output_tokens=len(words)),
            model=request.model,
        )
