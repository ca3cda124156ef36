"""A conversation as people read it back: rows of turns and steps become messages with all that belongs to them.

Pure functions. What supports a reply (evidence, citations, artifacts, usage …) goes with the message that says it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from databot.storage.base import LoggedMessage
from databot.storage.codec import (
    chat_data,
    decode_attachments,
    decode_chat,
    decode_question,
    from_micros,
    loads,
)
from databot.storage.database import Row
from databot.types.chat import ChatMessage

REPLY_EXTRAS = [
    "agent",
    "finish_reason",
    "tools",
    "citations",
    "evidence",
    "artifacts",
    "notes",
    "usage",
]
Steps = Mapping[int, Sequence[tuple[datetime, ChatMessage]]]


def steps_by_turn(rows: Sequence[Row]) -> Steps:
    """The journaled messages with their times, by the turn's number."""
    found: dict[int, list[tuple[datetime, ChatMessage]]] = defaultdict(list)
    for seq, at, payload in rows:
        found[seq].extend((from_micros(at), message) for message in decode_chat(payload))
    return found


def read_back(steps: Steps, rows: Sequence[Row]) -> list[LoggedMessage]:
    """All messages of the turns in `rows`, in order."""
    return [message for row in rows for message in turn_messages(steps.get(row[0], ()), row)]


def turn_messages(
    steps: Sequence[tuple[datetime, ChatMessage]], row: Row
) -> Sequence[LoggedMessage]:
    _, turn_id, state, accepted_at, ended_at, question, body, attachments, reply, error = row
    asked = LoggedMessage(
        role="user",
        content=decode_question(question),
        turn_id=turn_id,
        at=from_micros(accepted_at),
        extra=question_extra(loads(body), state, attachments, error),
    )
    answers = [
        LoggedMessage(
            role=message.role, content=message.content, turn_id=turn_id, at=at, extra=extra(message)
        )
        for at, message in steps
    ]
    return [asked, *(with_reply(answers, loads(reply), ended_at) if reply else answers)]


def question_extra(
    body: Mapping[str, Any], state: str, attachments: str | None, error: str | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"state": state, "sender_id": body["sender_id"]}
    if attachments:
        found["attachments"] = [
            {"name": file.name, "media_type": file.media_type, "size": len(file.data)}
            for file in decode_attachments(attachments)
        ]
    if error:
        found["error"] = loads(error)
    return found


def extra(message: ChatMessage) -> dict[str, Any]:
    return {
        key: value for key, value in chat_data(message).items() if key not in {"role", "content"}
    }


def with_reply(
    answers: list[LoggedMessage], reply: Mapping[str, Any], ended_at: int
) -> list[LoggedMessage]:
    """The answers, with the reply's support on the one that says it, or the reply itself where none does."""
    support = {key: reply[key] for key in REPLY_EXTRAS if reply[key]}
    last = answers[-1] if answers else None
    if last is None or last.role != "assistant" or last.extra.get("tool_calls"):
        said = LoggedMessage(
            role="assistant",
            content=reply["content"],
            turn_id=reply["turn_id"],
            at=from_micros(ended_at),
            extra=support,
        )
        return [*answers, said]
    merged = LoggedMessage(
        role=last.role,
        content=reply["content"],
        turn_id=last.turn_id,
        at=last.at,
        extra={**last.extra, **support},
    )
    return [*answers[:-1], merged]
