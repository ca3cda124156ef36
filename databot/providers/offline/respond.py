"""Respond: one call of the "model" as a pure function: messages and tools in, a tool call or a text out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from databot.providers.offline.analyst import analyse
from databot.providers.offline.steps import advance
from databot.providers.offline.transcript import Exchange, exchanges, used_ids
from databot.types.chat import ChatMessage, ToolSpec

NOTHING_ASKED = "There is no question yet."


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call: `arguments` is JSON."""

    id: str
    tool: str
    arguments: str


def respond(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> Call | str:
    """What the analyst does next in this conversation."""
    found = exchanges(messages)
    if not found or not found[-1].text.strip():
        return NOTHING_ASKED
    texts = [_words(one) for one in found]
    if not texts[-1]:
        return NOTHING_ASKED
    reference = "\n".join(message.content for message in messages if message.role == "system")
    names = frozenset(tool.name for tool in tools)
    step = advance(analyse(texts, names, reference), found)
    if isinstance(step, str):
        return step
    if step.tool not in names:
        return f"I would need the tool “{step.tool}” for that, and I was not given it."
    arguments = json.dumps(dict(step.arguments), ensure_ascii=False)
    return Call(id=_fresh_id(messages), tool=step.tool, arguments=arguments)


def _words(exchange: Exchange) -> str:
    """The person's own words, without the attachments that follow them."""
    return exchange.text.partition("\n\n[attached file ")[0].strip()


def _fresh_id(messages: Sequence[ChatMessage]) -> str:
    """An id no call of the conversation has, the same for the same conversation."""
    taken = used_ids(messages)
    number = len(taken) + 1
    while f"call_{number}" in taken:
        number += 1
    return f"call_{number}"
