"""Messages and turns: say something, see what became of it, follow it, stop it."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from aiohttp import web

from databot.gateway import schemas
from databot.gateway.api.approvals import approval_payload, requested
from databot.gateway.bodies import ChatBody, MessageBody, read_body
from databot.gateway.context import CALLER, Gateway, principal_of
from databot.gateway.errors import ShuttingDown, status_of
from databot.gateway.guard import refusal
from databot.gateway.intake import Submission, idempotency_key, submit
from databot.gateway.query import MAX_EVENT_ID, last_event_id, wants_html
from databot.gateway.relay import Frame, frames
from databot.gateway.respond import json_response
from databot.gateway.routes import Parameter, Reply, Route, json_reply
from databot.gateway.sse import MEDIA_TYPE, stream_turn
from databot.storage.base import TurnRecord
from databot.tools.base import Approval
from databot.types.errors import NotFound
from databot.types.events import ApprovalRequested, TurnFailed, TurnFinished, reply_payload


async def chat(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Ask and wait for the answer, or follow it as a stream. Leaving does not stop the turn."""
    principal = principal_of(request)
    key = idempotency_key(request)
    wants_html(request)  # refused before anything is accepted
    body = await read_body(request, ChatBody, gateway.options.body_timeout_s)
    turn = await submit(gateway, principal, body, key=key, door="chat", stream=body.stream)
    if body.stream:
        ids = (principal.tenant_id, turn.turn_id, turn.session_id)
        return await stream_turn(gateway, request, ids, extra=turn.headers)
    try:
        with gateway.lifetime.busy():
            async with gateway.lifetime.waiting():
                return await _answer(gateway, request, principal.tenant_id, turn)
    except TimeoutError:
        error = ShuttingDown("databot is restarting; the turn goes on afterwards")
        return refusal(request, error, turn.payload)


async def _answer(
    gateway: Gateway, request: web.Request, tenant_id: str, turn: Submission
) -> web.Response:
    """The answer of the turn, or the error that ended it with the status that belongs to it.

    A turn that waits for a person is not waited for: the caller is told what is asked.
    """
    event = None
    if turn.duplicate and (asked := await _asked(gateway, request, turn.turn_id)):
        return _waiting(request, turn, asked)
    async with aclosing(frames(gateway, (tenant_id, turn.turn_id, turn.session_id))) as told:
        async for frame in told:
            event = frame.event
            if isinstance(event, ApprovalRequested) and (
                asked := await _asked(gateway, request, turn.turn_id)
            ):
                return _waiting(request, turn, asked)
    if isinstance(event, TurnFinished):
        return json_response(request, reply_payload(event.message), 200, turn.headers)
    if not isinstance(event, TurnFailed):
        raise NotFound("turn", turn.turn_id)
    detail = {"turn_id": turn.turn_id, "session_id": turn.session_id}
    error = {
        "type": event.error,
        "message": event.reason,
        "detail": detail,
        "request_id": request[CALLER].request_id,
    }
    return json_response(request, {"error": error}, status_of(event.error), turn.headers)


async def _asked(gateway: Gateway, request: web.Request, turn_id: str) -> Sequence[Approval]:
    """What a turn waits for."""
    return await gateway.services.approvals.pending(principal_of(request), turn_id=turn_id)


def _waiting(request: web.Request, turn: Submission, asked: Sequence[Approval]) -> web.Response:
    """The turn waits for a person, perhaps for days."""
    body = {
        "turn_id": turn.turn_id,
        "session_id": turn.session_id,
        "state": "waiting",
        "events_url": turn.payload["events_url"],
        "approvals": [approval_payload(each) for each in asked],
    }
    return json_response(request, body, 202, turn.headers)


async def send(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Accept a message; the answer is read at `events_url`."""
    principal = principal_of(request)
    key = idempotency_key(request)
    body = await read_body(request, MessageBody, gateway.options.body_timeout_s)
    turn = await submit(gateway, principal, body, key=key, door="messages", stream=True)
    extra = turn.headers | {"Location": f"/api/v1/turns/{turn.turn_id}"}
    return json_response(request, turn.payload, 202, extra)


async def show(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """How far a turn is, with its reply or error."""
    return json_response(request, turn_payload(await _record(gateway, request)))


async def events(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Follow a turn from the start, or from where the reader left off."""
    after = last_event_id(request)
    record = await _record(gateway, request)
    conversation = record.conversation
    ids = (conversation.tenant_id, record.turn_id, conversation.session_id)
    asked = await _asked(gateway, request, record.turn_id) if record.state == "waiting" else ()
    quiet = [Frame(None, requested(each)) for each in asked]
    return await stream_turn(gateway, request, ids, after=after, quiet=quiet)


async def cancel(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Stop a turn; one that has ended stays as it is."""
    record = await _record(gateway, request)
    await gateway.services.engine.cancel(record.conversation.tenant_id, record.turn_id)
    return json_response(request, turn_payload(await _record(gateway, request)), 202)


async def _record(gateway: Gateway, request: web.Request) -> TurnRecord:
    turn_id = request.match_info["turn_id"]
    tenant_id = principal_of(request).tenant_id
    record = await gateway.services.inbox.turn(tenant_id, turn_id)
    if record is None:
        raise NotFound("turn", turn_id)
    return record


def turn_payload(record: TurnRecord) -> dict[str, Any]:
    """A turn as the HTTP contract spells it: with its whole reply when it has one."""
    shown: dict[str, Any] = reply_payload(record.reply) if record.reply is not None else {}
    shown |= {
        "turn_id": record.turn_id,
        "session_id": record.conversation.session_id,
        "bot_id": record.conversation.bot_id,
        "state": "failed" if record.state == "dead" else record.state,
        "accepted_at": record.accepted_at,
        "versions": dict(record.versions),
    }
    if record.error is not None:
        shown["error"] = dict(record.error)
    return shown


KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    description="Your own name for this request: sending it again gives the first turn again.",
    schema={"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
)
EVENT_ID = {"type": "integer", "minimum": 0, "maximum": MAX_EVENT_ID}
LAST = Parameter(
    name="Last-Event-ID",
    place="header",
    description="The number of the last event you have; later ones follow.",
    schema=EVENT_ID,
)
AFTER = Parameter(
    name="after",
    place="query",
    description="The same, for readers that can set no header.",
    schema=EVENT_ID,
)
HTML = Parameter(
    name="html",
    place="query",
    description="`1` adds `html`, the reply as safe HTML, for pages.",
    schema={"type": "string", "enum": ["0", "1"]},
)
EVENTS = {MEDIA_TYPE: schemas.EVENT_STREAM}

ROUTES = (
    Route(
        method="POST",
        path="/api/v1/chat",
        handler=chat,
        permission="user",
        summary="Ask a question and get the answer",
        body=ChatBody,
        parameters=(KEY, HTML),
        replies={
            200: Reply(
                description="The answer, or with `stream: true` its events.",
                media={"application/json": schemas.ref("Reply"), **EVENTS},
            ),
            202: json_reply(
                "A tool call needs a person's approval; the turn goes on when that is decided.",
                schemas.ref("Waiting"),
            ),
        },
        errors=(404, 409, 500, 502, 504),
    ),
    Route(
        method="POST",
        path="/api/v1/messages",
        handler=send,
        permission="user",
        summary="Send a message and read the answer later",
        body=MessageBody,
        parameters=(KEY,),
        replies={202: json_reply("Accepted.", schemas.ref("Accepted"))},
        errors=(404, 409),
    ),
    Route(
        method="GET",
        path="/api/v1/turns/{turn_id}",
        handler=show,
        permission="user",
        summary="Show a turn",
        replies={200: json_reply("The turn.", schemas.ref("Turn"))},
    ),
    Route(
        method="GET",
        path="/api/v1/turns/{turn_id}/events",
        handler=events,
        permission="user",
        summary="Follow a turn as server-sent events",
        parameters=(LAST, AFTER, HTML),
        replies={200: Reply(description="Events, ended by one terminal event.", media=EVENTS)},
    ),
    Route(
        method="POST",
        path="/api/v1/turns/{turn_id}/cancel",
        handler=cancel,
        permission="user",
        summary="Stop a turn",
        replies={202: json_reply("The turn, stopping or ended.", schemas.ref("Turn"))},
    ),
)
