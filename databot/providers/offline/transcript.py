"""The transcript: a prompt's messages as exchanges, each a person's words and the tool calls that followed them.

All the memory the offline analyst has: it keeps nothing between two calls.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from databot.types.chat import ChatMessage, ToolCall

CallKey = tuple[str, str]


def call_key(name: str, arguments: Mapping[str, Any]) -> CallKey:
    """Equal for calls that ask for the same thing."""
    return name, json.dumps(arguments, sort_keys=True, ensure_ascii=False)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What a person said, and the results of the calls made for it, in order, by what was asked."""

    text: str
    results: dict[CallKey, str] = field(default_factory=dict[CallKey, str])


def exchanges(messages: Sequence[ChatMessage]) -> tuple[Exchange, ...]:
    """The exchanges, oldest first; messages before the first word of a person belong to none."""
    found: list[Exchange] = []
    asked: dict[str, CallKey] = {}
    for message in messages:
        if message.role == "user":
            found.append(Exchange(text=message.content))
        elif message.role == "assistant":
            asked |= {call.id: key for call in message.tool_calls if (key := _key(call))}
        elif message.role == "tool" and found and message.tool_call_id in asked:
            found[-1].results[asked[message.tool_call_id]] = message.content
    return tuple(found)


def _key(call: ToolCall) -> CallKey | None:
    try:
        arguments: object = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return call_key(call.name, arguments) if isinstance(arguments, dict) else None  # pyright: ignore[reportUnknownArgumentType]  # JSON


def used_ids(messages: Sequence[ChatMessage]) -> frozenset[str]:
    """The ids of all calls so far."""
    return frozenset(call.id for message in messages for call in message.tool_calls)
