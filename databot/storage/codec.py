"""How values are spelled in the database: plain JSON, field by field, and back.

The stored spelling is a contract of its own, held still by tests: no class name is ever stored, and a field added
later is read with a default. Text no database can hold (lone surrogates) is replaced, so that what a model or a driver
produced can always be kept.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, cast

import orjson

from databot.types.chat import ChatMessage, ToolCall
from databot.types.messages import Attachment, ConversationKey, InboundMessage, Principal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def dumps(value: Any) -> str:  # noqa: ANN401 - any JSON-able value, and what `plain` can make one of
    """The value as JSON text."""
    try:
        return orjson.dumps(value, default=plain_leaf).decode()
    except (TypeError, ValueError):
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def loads(text: str) -> Any:  # noqa: ANN401 - the caller knows what it stored
    """The value of JSON text written by `dumps`."""
    return orjson.loads(text)


def plain_leaf(value: object) -> object:
    """A JSON value for something that is not one: collections by content, anything else by its text."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return {str(key): item for key, item in items.items()}
    if isinstance(value, set | frozenset):
        return sorted(str(item) for item in cast("frozenset[object]", value))
    return str(value)


def plain(value: object) -> object:
    """The value with everything replaced that JSON text cannot carry: the slow way, for the rare odd value."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, dict):
        items = cast("dict[object, object]", value)
        return {str(plain(str(key))): plain(item) for key, item in items.items()}
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return plain(plain_leaf(value))


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment, in UTC."""
    return EPOCH + timedelta(microseconds=micros)


def key_params(key: ConversationKey) -> dict[str, str]:
    """The parameters that name a conversation."""
    return {"tenant_id": key.tenant_id, "bot_id": key.bot_id, "session_id": key.session_id}


def encode_question(content: str) -> str:
    """What a person said, spelled as the journal spells messages: see `encode_chat`."""
    return dumps([{"role": "user", "content": content}])


def decode_question(question: str) -> str:
    return loads(question)[0]["content"]


def encode_message(message: InboundMessage, versions: Mapping[str, str]) -> str:
    """All else about a person's message, save its attachments, and the `versions` of who accepted it."""
    who = message.principal
    return dumps(
        {
            "channel": message.channel,
            "chat_id": message.chat_id,
            "thread_id": message.thread_id,
            "message_id": message.message_id,
            "tenant_id": message.tenant_id,
            "bot_id": message.bot_id,
            "agent": message.agent,
            "stream": message.stream,
            "sender_id": message.sender_id,
            "principal": {
                "id": who.id,
                "tenant_id": who.tenant_id,
                "roles": sorted(who.roles),
                "display_name": who.display_name,
            },
            "versions": dict(versions),
        }
    )


def decode_message(
    question: str, data: Mapping[str, Any], attachments: str | None
) -> InboundMessage:
    """The message, its `data` being what `encode_message` made."""
    who = data["principal"]
    return InboundMessage(
        channel=data["channel"],
        chat_id=data["chat_id"],
        thread_id=data["thread_id"],
        message_id=data["message_id"],
        tenant_id=data["tenant_id"],
        bot_id=data["bot_id"],
        agent=data["agent"],
        stream=data["stream"],
        sender_id=data["sender_id"],
        principal=Principal(
            id=who["id"],
            tenant_id=who["tenant_id"],
            roles=frozenset(who["roles"]),
            display_name=who["display_name"],
        ),
        content=decode_question(question),
        attachments=decode_attachments(attachments),
    )


def encode_attachments(attachments: Sequence[Attachment]) -> str | None:
    if not attachments:
        return None
    return dumps(
        [
            {"name": a.name, "media_type": a.media_type, "data": b64encode(a.data).decode()}
            for a in attachments
        ]
    )


def decode_attachments(text: str | None) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(name=a["name"], media_type=a["media_type"], data=b64decode(a["data"]))
        for a in (loads(text) if text else ())
    )


def encode_chat(messages: Sequence[ChatMessage]) -> str:
    """The messages of a step; what is empty is left out."""
    return dumps([chat_data(message) for message in messages])


def chat_data(message: ChatMessage) -> dict[str, Any]:
    data: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        data["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        data["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        data["name"] = message.name
    return data


def decode_chat(payload: str) -> list[ChatMessage]:
    return [chat_message(data) for data in loads(payload)]


def chat_message(data: Mapping[str, Any]) -> ChatMessage:
    if len(data) == 2:  # most messages are a role and a text
        return ChatMessage(role=data["role"], content=data["content"])
    return ChatMessage(
        role=data["role"],
        content=data["content"],
        tool_calls=tuple(
            ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"])
            for call in data.get("tool_calls", ())
        ),
        tool_call_id=data.get("tool_call_id"),
        name=data.get("name"),
    )
