"""The conversation that is broken off everywhere: two questions, every kind of tool, an approval, two replies.

Model, tools and platform belong to the outside world: they write down what they were asked for (`record`), and know
nothing of how often databot died meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from pydantic import BaseModel

from databot.channels.base import BaseChannel, Capabilities, ChannelConfig, Publish
from databot.providers.base import LLMProvider
from databot.testing.scripted import Answer, pieces_of
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult
from databot.types.chat import ChatChunk, ChatMessage, ChatReply, ChatRequest, ToolCall
from databot.types.clock import Clock
from databot.types.errors import StorageUnavailable
from databot.types.messages import InboundMessage, OutboundMessage, Principal
from tests.proof.points import Points
from tests.proof.record import Record

CHANNEL = "desk"
PERSON = Principal(id="ann")
QUESTIONS = ("q1", "q2")
ASKS: dict[str, tuple[tuple[str, ...], ...]] = {
    "q1": (("look", "look"), ("put",), ("post",)),
    "q2": (("post", "put"), ("drop",)),
}
"""Which tools the model asks for, one answer after the other; then it answers in words."""
MODEL_CALLS = sum(len(asks) + 1 for asks in ASKS.values())
GUARDED = "drop"
PLAIN = ("post", "drop")
REDELIVER_S = 1.0


def question_of(text: str) -> str:
    return next(name for name in QUESTIONS if name in text)


def message(name: str) -> InboundMessage:
    return InboundMessage(
        channel=CHANNEL,
        chat_id="chat",
        sender_id=PERSON.id,
        content=f"question {name}",
        message_id=name,
        principal=PERSON,
    )


CONVERSATION = message("q1").conversation


class Model(LLMProvider):
    """Answers by what it is shown alone, as a model does; a history that no vendor would take is written down."""

    name = "scripted"

    def __init__(self, record: Record, points: Points) -> None:
        self._record = record
        self._points = points

    async def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        name, so_far = this_turn(request.messages)
        self._record.add("malformed", name, what=trouble_in(request.messages))
        step = sum(1 for each in so_far if each.role == "assistant")
        with self._points.call(f"model {name}.{step + 1}"):
            self._record.add("model", name, what=str(step + 1))
            await asyncio.sleep(0)
            for piece in pieces_of(answer(name, step, so_far)):
                if isinstance(piece, BaseException):
                    raise piece
                yield piece


def this_turn(messages: Sequence[ChatMessage]) -> tuple[str, Sequence[ChatMessage]]:
    """The question asked last, and what has come since."""
    at = max(place for place, each in enumerate(messages) if each.role == "user")
    return question_of(messages[at].content), messages[at + 1 :]


def answer(name: str, step: int, so_far: Sequence[ChatMessage]) -> Answer:
    """The next calls, or the words: they repeat what every call gave."""
    asks = ASKS[name]
    if step < len(asks):
        calls = tuple(
            ToolCall(
                id=f"call_{name}_{step}_{place}",
                name=tool,
                arguments=f'{{"of": "{name}", "place": {place}}}',
            )
            for place, tool in enumerate(asks[step])
        )
        return ChatReply(text=f"Step {step + 1}.", tool_calls=calls, finish_reason="tool_calls")
    told = "; ".join(each.content for each in so_far if each.role == "tool")
    return f"The answer to {name}: {told}"


def trouble_in(messages: Sequence[ChatMessage]) -> str:
    """What is wrong with a history: each call is answered once, right after it was asked for; empty when nothing is."""
    waiting: list[str] = []
    for each in messages:
        if each.role == "tool":
            if each.tool_call_id not in waiting:
                return f"{each.tool_call_id} is answered and was not asked for"
            waiting.remove(each.tool_call_id)
        elif waiting:
            return f"{waiting} were not answered before the {each.role} spoke"
        else:
            waiting = [call.id for call in each.tool_calls]
    return f"{waiting} were not answered" if waiting else ""


class Asked(BaseModel):
    of: str
    place: int


class Outside(BaseTool):
    """A tool whose effect is a line in the record."""

    description = "does something"
    Arguments = Asked
    kind: ClassVar[str] = "effect"

    def __init__(self, record: Record, points: Points) -> None:
        self._record = record
        self._points = points

    async def run(self, arguments: Asked, context: ToolContext) -> ToolResult:
        with self._points.call(f"tool {self.name} {arguments.of}.{arguments.place}"):
            await self._before()
            key = context.idempotency_key if self.effect is Effect.IDEMPOTENT else ""
            self._record.add("effect", arguments.of, what=self.name, key=key)
        return ToolResult(content=f"{self.name} did it", summary="done")

    async def _before(self) -> None:
        await asyncio.sleep(0)


class Look(Outside):
    """Takes until its turn's lease was renewed once."""

    name = "look"
    effect = Effect.READ

    def __init__(self, record: Record, points: Points, renewed: asyncio.Event) -> None:
        super().__init__(record, points)
        self._renewed = renewed

    async def _before(self) -> None:
        await self._renewed.wait()


class Put(Outside):
    name = "put"
    effect = Effect.IDEMPOTENT


class Post(Outside):
    name = "post"
    effect = Effect.PLAIN


class Drop(Outside):
    name = "drop"
    effect = Effect.PLAIN


class Desk(BaseChannel):
    """A platform that delivers each event until it is acknowledged, in order, and shows a delivery id once."""

    name = CHANNEL

    def __init__(self, record: Record, points: Points, clock: Clock) -> None:
        super().__init__(ChannelConfig())
        self._record = record
        self._points = points
        self._clock = clock

    def capabilities(self) -> Capabilities:
        return Capabilities(idempotent_sends=True)

    async def run(self, publish: Publish) -> None:
        acknowledged = {line.of for line in self._record.lines("acknowledged")}
        for name in QUESTIONS:
            if name not in acknowledged:
                await self._deliver(name, publish)
        await asyncio.Event().wait()

    async def _deliver(self, name: str, publish: Publish) -> None:
        while True:
            try:
                turn_id = await publish(message(name))
            except StorageUnavailable:
                self._record.add("refused", name)
                await self._clock.sleep(REDELIVER_S)
                continue
            with self._points.call(f"acknowledge {name}"):
                self._record.add("acknowledged", name, what=turn_id)
            return

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        name = question_of(message.content)
        with self._points.call(f"send {name}"):
            await asyncio.sleep(0)
            self._record.add("sent", name, what=message.content, key=delivery_id)
        return f"platform {delivery_id}"
