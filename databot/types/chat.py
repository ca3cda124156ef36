"""The nouns of a talk with a language model, in no vendor's dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model wants a tool run; `arguments` is its raw JSON text, not yet trusted or parsed."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One entry of a prompt. A `tool` message answers the call named by `tool_call_id`."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as shown to the model: `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money of one or many model calls; `cost_usd` is 0 where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One call to a model; `timeout_s` bounds the wait for the first and for each further piece.

    `stream` is false when nobody watches the answer being written: a provider may then fetch it whole, if that is
    cheaper, and stream it as one piece.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int = 2048
    temperature: float = 0.0
    timeout_s: float = 60.0
    stream: bool = True


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of text, as it is streamed."""

    text: str


FinishReason = Literal["stop", "tool_calls", "length", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """The whole answer of one model call; always the last thing a stream yields.

    `finish_reason` is `tool_calls` whenever there are tool calls, whatever the vendor called it.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    model: str = ""


ChatChunk = TextChunk | ChatReply
