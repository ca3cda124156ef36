"""Conversations: list, read back, delete."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from databot.gateway import schemas
from databot.gateway.context import Gateway, principal_of
from databot.gateway.markdown import render
from databot.gateway.query import moment, wants_html, whole_number
from databot.gateway.respond import headers_for, json_response
from databot.gateway.routes import Parameter, Reply, Route, json_reply
from databot.storage.base import LoggedMessage, SessionSummary
from databot.types.errors import NotFound
from databot.types.messages import ConversationKey

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


async def index(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Conversations of the caller's tenant, the last used first."""
    asked, since = request.query.get("limit"), request.query.get("before")
    limit = DEFAULT_LIMIT if asked is None else whole_number(asked, "limit", 1, MAX_LIMIT)
    before = None if since is None else moment(since, "before")
    tenant_id = principal_of(request).tenant_id
    found = await gateway.services.sessions.list(tenant_id, limit=limit, before=before)
    following = found[-1].updated_at if len(found) == limit else None
    sessions = [_summary(each) for each in found]
    return json_response(request, {"sessions": sessions, "next_before": following})


async def show(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """A conversation with its messages in order."""
    conversation = await _find(gateway, request)
    messages = await gateway.services.sessions.messages(conversation)
    if not messages:  # it has at least the one that began it
        raise NotFound("session", conversation.session_id)
    # A long conversation is many texts to render: in a thread, or everybody would wait for it.
    if wants_html(request):
        shown = await asyncio.to_thread(_messages_for_pages, messages)
    else:
        shown = _messages(messages)
    body = {
        "session_id": conversation.session_id,
        "bot_id": conversation.bot_id,
        "messages": shown,
    }
    return json_response(request, body)


async def delete(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Delete a conversation for good, with its turns, which are stopped, and its files."""
    conversation = await _find(gateway, request)
    if not await gateway.services.sessions.delete(conversation):
        raise NotFound("session", conversation.session_id)
    return web.Response(status=204, headers=headers_for(request, "application/json"))


async def _find(gateway: Gateway, request: web.Request) -> ConversationKey:
    session_id = request.match_info["session_id"]
    bot_id = request.query.get("bot_id")
    tenant_id = principal_of(request).tenant_id
    if bot_id is not None:  # whether there is one, reading or deleting it finds out
        return ConversationKey(tenant_id=tenant_id, bot_id=bot_id, session_id=session_id)
    conversation = await gateway.services.sessions.find(tenant_id, session_id)
    if conversation is None:
        raise NotFound("session", session_id)
    return conversation


def _summary(session: SessionSummary) -> dict[str, Any]:
    return {
        "session_id": session.conversation.session_id,
        "bot_id": session.conversation.bot_id,
        "channel": session.channel,
        "title": session.title,
        "turns": session.turns,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
    }


def _messages(messages: Sequence[LoggedMessage]) -> list[dict[str, Any]]:
    return [
        dict(message.extra)
        | {
            "role": message.role,
            "content": message.content,
            "turn_id": message.turn_id,
            "at": message.at,
        }
        for message in messages
    ]


def _messages_for_pages(messages: Sequence[LoggedMessage]) -> list[dict[str, Any]]:
    shown = _messages(messages)
    for message in shown:
        if message["role"] == "assistant":
            message["html"] = render(message["content"])
    return shown


LIMIT = Parameter(
    name="limit",
    place="query",
    description="How many at most.",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
BEFORE = Parameter(
    name="before",
    place="query",
    description="Only those last used before this time: `next_before` of the previous page.",
    schema={"type": "string", "format": "date-time"},
)
BOT = Parameter(
    name="bot_id",
    place="query",
    description="Whose: bots may each have a conversation of one name. Left out, the last used is meant.",
    schema={"type": "string"},
)
HTML = Parameter(
    name="html",
    place="query",
    description="`1` adds `html` to assistant messages, for pages.",
    schema={"type": "string", "enum": ["0", "1"]},
)

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/sessions",
        handler=index,
        permission="user",
        summary="List conversations",
        parameters=(LIMIT, BEFORE),
        replies={200: json_reply("Conversations, the last used first.", schemas.ref("Sessions"))},
    ),
    Route(
        method="GET",
        path="/api/v1/sessions/{session_id}",
        handler=show,
        permission="user",
        summary="Read a conversation",
        parameters=(BOT, HTML),
        replies={200: json_reply("The conversation.", schemas.ref("Session"))},
    ),
    Route(
        method="DELETE",
        path="/api/v1/sessions/{session_id}",
        handler=delete,
        permission="user",
        summary="Delete a conversation for good",
        parameters=(BOT,),
        replies={204: Reply(description="Deleted.")},
    ),
)
