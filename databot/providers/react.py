"""Tool calling for models that have none: a wrapper that spells tools out and reads calls back from the text.

`react` always does so; `auto` hands tools on as they are until the vendor says that the model takes none, and from
then on spells them out for that model. How it is spelled is in `react_text`.
"""

from dataclasses import replace
from typing import Literal

from databot.providers.base import LLMProvider
from databot.providers.errors import ToolsUnsupported
from databot.providers.react_text import SpokenText, read_calls, spelled_out
from databot.providers.streams import ChunkStream, fold
from databot.types.chat import ChatReply, ChatRequest, TextChunk
from databot.types.closing import closing


class ReactProvider(LLMProvider):
    """`inner`, with tools for models that have no tool calling. It owns `inner` and closes it."""

    def __init__(self, inner: LLMProvider, *, mode: Literal["auto", "react"] = "auto") -> None:
        self.name = inner.name
        self._inner = inner
        self._always = mode == "react"
        self._without: set[str] = set()

    async def chat(self, request: ChatRequest) -> ChatReply:
        if not request.tools:
            return await self._inner.chat(request)
        if not self._spells(request):
            try:
                return await self._inner.chat(request)
            except ToolsUnsupported:
                self._without.add(request.model)
        return await fold(self.name, self._spelled(request))

    async def chat_stream(self, request: ChatRequest) -> ChunkStream:
        if not self._spells(request):
            try:
                async with closing(self._inner.chat_stream(request)) as stream:
                    async for chunk in stream:
                        yield chunk
                return
            except ToolsUnsupported:
                # Vendors say so instead of an answer, never in the middle of one.
                self._without.add(request.model)
        async with closing(self._spelled(request)) as stream:
            async for chunk in stream:
                yield chunk

    def warm(self) -> None:
        self._inner.warm()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _spells(self, request: ChatRequest) -> bool:
        return bool(request.tools) and (self._always or request.model in self._without)

    async def _spelled(self, request: ChatRequest) -> ChunkStream:
        spoken = SpokenText()
        shown: list[str] = []
        async with closing(self._inner.chat_stream(spelled_out(request))) as stream:
            async for chunk in stream:
                if isinstance(chunk, TextChunk):
                    if text := spoken.feed(chunk.text):
                        shown.append(text)
                        yield TextChunk(text)
                    continue
                if text := spoken.end():
                    shown.append(text)
                    yield TextChunk(text)
                yield as_reply(chunk, "".join(shown))


def as_reply(raw: ChatReply, shown: str) -> ChatReply:
    """The reply with the calls found in its text, and only the text that was for the reader."""
    calls = read_calls(raw.text)
    return replace(
        raw,
        text=shown,
        tool_calls=calls,
        finish_reason="tool_calls" if calls else raw.finish_reason,
    )
