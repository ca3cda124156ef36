"""A conversation as every model vendor accepts it: each tool call answered, each answer after its call.

A turn that failed, was cancelled or was killed may have stopped between a call and its result. Vendors refuse such a
history, so the missing results are filled in when it is read; what is stored stays what happened.
"""

from collections.abc import Iterator, Sequence

from databot.types.chat import ChatMessage

NO_RESULT = "no result: the turn was stopped before this tool finished"


def answered(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The messages with every tool call answered right after it, and without answers to calls never made."""
    whole: list[ChatMessage] = []
    waiting: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            if waiting.pop(message.tool_call_id or "", None) is not None:
                whole.append(message)
            continue
        if waiting:
            whole.extend(missing(waiting))
            waiting = {}
        if message.tool_calls:
            waiting = {call.id: call.name for call in message.tool_calls}
        whole.append(message)
    whole.extend(missing(waiting))
    return whole


def missing(waiting: dict[str, str]) -> Iterator[ChatMessage]:
    for call_id, name in waiting.items():
        yield ChatMessage(role="tool", content=NO_RESULT, tool_call_id=call_id, name=name)
