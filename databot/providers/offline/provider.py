"""`OfflineProvider`: the offline analyst behind the contract of language models.

It has no weights, no key, no network and no door to any database: like a model it is given messages and tools, and
answers with tool calls or with text. The same messages always get the same answer.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from databot.providers.base import LLMProvider
from databot.types.chat import ChatChunk, ChatReply, ChatRequest, TextChunk, ToolCall, Usage

if TYPE_CHECKING:
    from databot.providers.offline.respond import Call

MODEL = "offline"
CHARACTERS_PER_TOKEN = 4
MAX_CHUNKS = 8


class OfflineProvider(LLMProvider):
    """Answers simple questions about connected databases by fixed rules; says so, and what it does not understand."""

    name = "offline analyst (no language model)"

    def warm(self) -> None:
        """Import the SQL builder, which takes a moment."""
        import databot.providers.offline.respond  # noqa: F401  # pyright: ignore[reportUnusedImport]  # for its import time

    async def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the answer in a few pieces, or nothing, and then the whole reply."""
        said = await asyncio.to_thread(_respond, request)
        if not isinstance(said, str):
            call = ToolCall(id=said.id, name=said.tool, arguments=said.arguments)
            yield ChatReply(
                tool_calls=(call,),
                finish_reason="tool_calls",
                usage=_usage(request, said.arguments),
                model=MODEL,
            )
            return
        text = said[: request.max_output_tokens * CHARACTERS_PER_TOKEN]
        for piece in _pieces(text):
            yield TextChunk(piece)
        yield ChatReply(
            text=text,
            finish_reason="stop" if text == said else "length",
            usage=_usage(request, text),
            model=MODEL,
        )


def _respond(request: ChatRequest) -> "Call | str":
    """In a thread: the first call imports the SQL builder, and a large catalog takes a while to read."""
    from databot.providers.offline.respond import respond

    return respond(request.messages, request.tools)


def _pieces(text: str) -> Iterator[str]:
    """The text in a few pieces, parted where paragraphs end."""
    parts = text.split("\n\n")
    head, tail = parts[: MAX_CHUNKS - 1], parts[MAX_CHUNKS - 1 :]
    pieces = [*head, "\n\n".join(tail)] if tail else head
    for position, piece in enumerate(pieces):
        yield piece if position == len(pieces) - 1 else f"{piece}\n\n"


def _usage(request: ChatRequest, said: str) -> Usage:
    """Tokens as a model would count them, roughly; they cost nothing."""
    given = sum(
        len(message.content) + sum(len(call.arguments) for call in message.tool_calls)
        for message in request.messages
    )
    given += sum(
        len(json.dumps(dict(tool.parameters))) + len(tool.description) for tool in request.tools
    )
    return Usage(
        input_tokens=given // CHARACTERS_PER_TOKEN, output_tokens=len(said) // CHARACTERS_PER_TOKEN
    )
