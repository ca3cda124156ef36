"""A language model that says what the test told it to say.

It stands wherever an `LLMProvider` stands, needs no network, and keeps every request it was given. For the same over
HTTP, with a vendor's faults, see `databot.testing.model_server`.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from databot.providers.base import LLMProvider
from databot.providers.streams import ChunkStream
from databot.types.chat import ChatReply, ChatRequest, TextChunk, ToolCall
from databot.types.errors import ProviderBadResponse

Piece = TextChunk | ChatReply | BaseException
"""One step of a stream: text, the end, or an error raised there."""

Answer = str | ChatReply | BaseException | Sequence[Piece]
"""What one call gives: a text or a reply (streamed word by word), an error, or a stream written out."""

Answerer = Callable[[ChatRequest], Answer]
"""Decides the answer from the request."""

WORDS = re.compile(r"\S+\s*|\s+")


def calling(
    name: str, arguments: str = "{}", *, call_id: str = "call_1", text: str = ""
) -> ChatReply:
    """A reply that asks for one tool; `arguments` is the JSON text as the model would write it."""
    call = ToolCall(id=call_id, name=name, arguments=arguments)
    return ChatReply(text=text, tool_calls=(call,), finish_reason="tool_calls")


class ScriptedProvider(LLMProvider):
    """Gives the scripted answers one after the other.

    `answers` is a list with one entry a call, or a function from the request to the answer. Once the list is used up
    a call raises `ProviderBadResponse`, so that a test sees a call it did not expect. `pause` is awaited before each
    piece of a stream: give it `event.wait` to hold the model in the middle of an answer.

    `requests` keeps what was asked, in order; `closed` counts streams left before their end; `active` counts streams
    that are open now.
    """

    def __init__(
        self,
        answers: Iterable[Answer | Answerer] | Answerer = (),
        *,
        name: str = "scripted",
        pause: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.name = name
        self.requests: list[ChatRequest] = []
        self.active = 0
        self.closed = 0
        self._answerer = answers if callable(answers) else None
        self._answers = iter(() if callable(answers) else answers)
        self._pause = pause

    async def chat_stream(self, request: ChatRequest) -> ChunkStream:
        self.requests.append(request)
        self.active += 1
        ended = False
        try:
            for piece in pieces_of(self._next(request)):
                if self._pause is not None:
                    await self._pause()
                if isinstance(piece, BaseException):
                    ended = True
                    raise piece
                ended = isinstance(piece, ChatReply)
                yield piece
        finally:
            self.active -= 1
            self.closed += not ended

    def _next(self, request: ChatRequest) -> Answer:
        if self._answerer is not None:
            return self._answerer(request)
        answer = next(self._answers, None)
        if answer is None:
            call = len(self.requests)
            return ProviderBadResponse(f"the script of {self.name} has no answer for call {call}")
        return answer(request) if callable(answer) else answer


def pieces_of(answer: Answer) -> Iterator[Piece]:
    """The stream an answer stands for."""
    if isinstance(answer, str):
        answer = ChatReply(text=answer)
    if isinstance(answer, ChatReply):
        yield from (TextChunk(word) for word in WORDS.findall(answer.text))
        if answer.tool_calls and answer.finish_reason == "stop":
            answer = replace(answer, finish_reason="tool_calls")
        yield answer
    elif isinstance(answer, BaseException):
        yield answer
    else:
        yield from answer
