"""What is kept and shown of tool calls: pure functions over calls and their results."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import orjson

from databot.tools.base import ToolResult
from databot.types.chat import ChatMessage, ToolCall
from databot.types.errors import shorten
from databot.types.support import CallReport

ARGUMENT_CHARACTERS = 4_000
FIGURES_KEPT = 1_000
"""So many numbers of a result outlive a crash."""


def report_of(call: ToolCall, result: ToolResult, ms: float) -> CallReport:
    """What is kept of a call besides the text for the model."""
    return CallReport(
        call_id=call.id,
        ok=result.ok,
        ms=round(ms, 2),
        summary=result.summary,
        evidence=result.evidence,
        artifacts=result.artifacts,
        figures=result.figures[:FIGURES_KEPT],
        figures_cut=len(result.figures) > FIGURES_KEPT,
    )


def message_of(call: ToolCall, result: ToolResult) -> ChatMessage:
    """The result as the model reads it."""
    return ChatMessage(role="tool", content=result.content, tool_call_id=call.id, name=call.name)


def refusal(reason: str) -> ToolResult:
    """A result that tells the model why there is none."""
    return ToolResult(content=f"error: {reason}", ok=False, summary=shorten(reason, 200))


def with_own_ids(calls: Sequence[ToolCall], working: Sequence[ChatMessage]) -> tuple[ToolCall, ...]:
    """The calls, each with an id no other call of this turn has: models repeat ids, and results are matched by id."""
    taken = {call.id for message in working for call in message.tool_calls} | {""}
    own: list[ToolCall] = []
    for call in calls:
        free = call.id
        while free in taken:
            free = f"{call.id or 'call'}_{len(taken)}"
        taken.add(free)
        own.append(call if free == call.id else replace(call, id=free))
    return tuple(own)


def call_key(call: ToolCall) -> tuple[str, str]:
    """Equal for calls that ask for the same thing, however their JSON is spaced or ordered."""
    try:
        return call.name, json.dumps(json.loads(call.arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments


def shown_arguments(arguments: str) -> dict[str, Any]:
    """The arguments for people to see; what is no JSON object is shown as text.

    Read by orjson, which takes only what it can write again: no NaN, no half characters.
    """
    try:
        parsed: object = orjson.loads(arguments or "{}")
    except ValueError:
        parsed = arguments
    if not isinstance(parsed, dict):
        return {"": shorten(str(parsed), ARGUMENT_CHARACTERS)}
    items = cast("dict[str, object]", parsed).items()
    return {
        key: shorten(value, ARGUMENT_CHARACTERS) if isinstance(value, str) else value
        for key, value in items
    }
