"""What of a conversation fits into one prompt.

Pure functions over messages. A tool call is never parted from its results: what is left out is left out as a whole
exchange, and what is too long is shortened inside, with a line that says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from databot.types.chat import ChatMessage, ToolSpec

CHARACTERS_PER_TOKEN = 4
"""An estimate that errs on the safe side for English and SQL."""
MESSAGE_OVERHEAD = 4
OLD_RESULT_CHARACTERS = 800
LEAST_RESULT_CHARACTERS = 400
WORKING_SHARE = 0.7
"""Of what is left after the fixed part, how much this turn's own tool results may take before they are shortened."""


def tokens(text: str) -> int:
    """Estimated tokens of a text."""
    return len(text) // CHARACTERS_PER_TOKEN + 1


def message_tokens(message: ChatMessage) -> int:
    """Estimated tokens of a message with its tool calls."""
    if not message.tool_calls:
        return len(message.content) // CHARACTERS_PER_TOKEN + 1 + MESSAGE_OVERHEAD
    calls = sum(
        tokens(call.name) + tokens(call.arguments) + MESSAGE_OVERHEAD for call in message.tool_calls
    )
    return tokens(message.content) + calls + MESSAGE_OVERHEAD


def total_tokens(messages: Sequence[ChatMessage]) -> int:
    """Estimated tokens of messages."""
    return sum(message_tokens(message) for message in messages)


def spec_tokens(specs: Sequence[ToolSpec]) -> int:
    """Estimated tokens of tool descriptions."""
    return sum(
        _spec_tokens(spec.name, spec.description, _Parameters(spec.parameters)) for spec in specs
    )


class _Parameters:
    """A schema that a cache takes for the same as any other of its tool: it is large, and it does not change."""

    __slots__ = ("schema",)

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parameters)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=1_000)
def _spec_tokens(name: str, description: str, parameters: _Parameters) -> int:
    return tokens(name + description) + tokens(json.dumps(parameters.schema))


def shorten_result(message: ChatMessage, limit: int) -> ChatMessage:
    """A tool result cut to about `limit` characters, with a line that says so."""
    if message.role != "tool" or len(message.content) <= limit:
        return message
    notice = f"\n[cut by databot: {limit:,} of {len(message.content):,} characters of this result are shown]"
    return replace(message, content=message.content[:limit] + notice)


def shorten_results(working: Sequence[ChatMessage], budget: int) -> list[ChatMessage]:
    """This turn's messages with the tool results shortened, the oldest first, until they fit or are as short as can be."""
    result = list(working)
    spare = budget - total_tokens(result)
    for index, message in enumerate(result):
        if spare >= 0:
            break
        if message.role == "tool":
            wanted = len(message.content) + spare * CHARACTERS_PER_TOKEN - 100
            result[index] = shorten_result(message, max(LEAST_RESULT_CHARACTERS, wanted))
            spare += message_tokens(message) - message_tokens(result[index])
    return result


def fit(
    fixed: ChatMessage,
    history: Sequence[ChatMessage],
    current: Sequence[ChatMessage],
    budget: int,
) -> list[ChatMessage]:
    """The prompt: `fixed` first, as much of the latest history as fits, then `current` (the question and its steps)."""
    spare = budget - message_tokens(fixed)
    kept_current = shorten_results(current, int(spare * WORKING_SHARE))
    spare -= total_tokens(kept_current)
    return [fixed, *latest(history, spare), *kept_current]


def latest(history: Sequence[ChatMessage], spare: int) -> list[ChatMessage]:
    """As many of the last whole exchanges as `spare` tokens hold, their tool results shortened."""
    kept: list[ChatMessage] = []
    whole = 0  # how many of `kept`, newest first, are whole exchanges
    for message in reversed(history):
        short = (
            shorten_result(message, OLD_RESULT_CHARACTERS) if message.role == "tool" else message
        )
        spare -= message_tokens(short)
        if spare < 0:
            break
        kept.append(short)
        if message.role == "user":
            whole = len(kept)
    else:
        whole = len(kept)  # what stands before the first question is an exchange of its own
    return kept[:whole][::-1]
