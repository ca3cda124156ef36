"""What the scripted model server can say, and how it looks on the wire.

Answers are values; encoding is pure and cached, so a benchmark measures its client and not this. `model_server` sends
what is made here. The faults of real vendors are in `model_faults`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson

from databot.types.chat import ToolCall

CREATED = 1_767_225_600
WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """One answer of the model.

    `pieces` cuts the text for streaming (else it is cut in words). `finish_reason` is the right one when it is
    `None`; `""` leaves out the chunk that carries it. `usage` is (input, output) tokens, or `None` for a server that
    counts nothing. `done=False` leaves out `[DONE]`. `cut` closes the connection in the middle of the text, in the
    middle of a tool call, or after the usage. `latency_s` waits before the first byte, `drip_s` before each event,
    `drip_bytes` sends that many bytes at a time. `hold_after` waits for `ModelServer.release` once that many events
    are sent (0: before the first byte).
    """

    text: str = ""
    pieces: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: tuple[int, int] | None = (12, 5)
    done: bool = True
    cut: Literal["text", "tool", "usage"] | None = None
    latency_s: float | None = None
    drip_s: float = 0.0
    drip_bytes: int = 0
    hold_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Bytes as they are, with a status: errors, web pages, nonsense. `stream_body` is sent when a stream was asked.

    `forever` is sent behind the body again and again, `drip_s` apart, until the client goes away.
    """

    status: int = 200
    body: bytes = b""
    stream_body: bytes | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    forever: bytes = b""
    drip_s: float = 0.0


Answer = Say | Raw
Answerer = Callable[[Mapping[str, Any]], Answer]
"""Decides the answer from the body of the request."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Events of one stream; when `cut` the connection is closed behind them."""

    events: tuple[bytes, ...]
    cut: bool


def finish_reason(say: Say) -> str:
    if say.finish_reason is not None:
        return say.finish_reason
    return "tool_calls" if say.calls else "stop"


def wire_usage(say: Say) -> dict[str, int] | None:
    if say.usage is None:
        return None
    prompt, completion = say.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def wire_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


@lru_cache(maxsize=256)
def whole_body(say: Say, model: str) -> bytes:
    """The JSON body of an answer that is not streamed."""
    text = say.text or "".join(say.pieces)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if say.calls:
        message["tool_calls"] = [wire_call(call, call.arguments) for call in say.calls]
    choice = {"index": 0, "message": message, "finish_reason": finish_reason(say) or None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [choice],
        "usage": wire_usage(say),
    }
    return orjson.dumps(body)


@lru_cache(maxsize=256)
def stream_plan(say: Say, model: str, *, include_usage: bool) -> Plan:
    """The events of a streamed answer; the usage comes only when it was asked for."""
    texts = [event({"content": piece}, model) for piece in text_pieces(say)]
    calls = [event(delta, model) for delta in call_deltas(say.calls)]
    start = [event({"role": "assistant", "content": ""}, model)]
    if say.cut == "text":
        return Plan((*start, *texts[: max(1, len(texts) // 2)]), cut=True)
    if say.cut == "tool":
        return Plan((*start, *texts, *calls[:2]), cut=True)
    end: list[bytes] = []
    if finish_reason(say):
        end.append(event({}, model, finish=finish_reason(say)))
    usage = wire_usage(say)
    if include_usage and usage is not None:
        end.append(frame({**envelope(model), "choices": [], "usage": usage}))
    if say.done and say.cut is None:
        end.append(b"data: [DONE]\n\n")
    return Plan((*start, *texts, *calls, *end), cut=say.cut is not None)


def text_pieces(say: Say) -> tuple[str, ...]:
    return say.pieces or tuple(WORDS.findall(say.text))


def call_deltas(calls: tuple[ToolCall, ...]) -> Iterator[dict[str, Any]]:
    """A call is announced with its name, then its arguments come in two parts."""
    for index, call in enumerate(calls):
        yield {"tool_calls": [{"index": index, **wire_call(call, "")}]}
        middle = len(call.arguments) // 2
        for part in (call.arguments[:middle], call.arguments[middle:]):
            if part:
                yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def envelope(model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
    }


def event(delta: Mapping[str, Any], model: str, *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
    return frame({**envelope(model), "choices": [choice]})


def frame(data: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(dict(data)) + b"\n\n"
