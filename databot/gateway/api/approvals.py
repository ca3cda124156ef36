"""Tool calls that wait for a person: what is asked, and the answer.

What is shown of a call is built from the call itself, never from what the model says about it.
"""

from typing import Any

from aiohttp import web

from databot.gateway import schemas
from databot.gateway.bodies import DecisionBody, read_body
from databot.gateway.context import Gateway, principal_of
from databot.gateway.query import whole_number
from databot.gateway.respond import json_response
from databot.gateway.routes import Parameter, Route, json_reply
from databot.tools.base import Approval
from databot.types.approvals import whole_arguments
from databot.types.events import ApprovalRequested

DEFAULT_LIMIT = 100
MAX_LIMIT = 500


async def index(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """What waits for a decision in the caller's tenant, the longest waiting first."""
    given = request.query.get("limit")
    limit = DEFAULT_LIMIT if given is None else whole_number(given, "limit", 1, MAX_LIMIT)
    found = await gateway.services.approvals.pending(
        principal_of(request), turn_id=request.query.get("turn_id"), limit=limit
    )
    return json_response(request, {"approvals": [approval_payload(each) for each in found]})


async def decide(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Approve or deny one call, once; its turn then goes on."""
    principal = principal_of(request)
    body = await read_body(request, DecisionBody, gateway.options.body_timeout_s)
    decided = await gateway.services.approvals.decide(
        principal, request.match_info["approval_id"], body.decision, note=body.note
    )
    return json_response(request, approval_payload(decided))


def requested(approval: Approval) -> ApprovalRequested:
    """That this call waits, for a reader who comes late."""
    return ApprovalRequested(
        turn_id=approval.turn_id,
        approval_id=approval.id,
        tool=approval.tool,
        args=whole_arguments(approval.arguments),
    )


def approval_payload(approval: Approval) -> dict[str, Any]:
    """An approval as the HTTP contract spells it."""
    return {
        "id": approval.id,
        "turn_id": approval.turn_id,
        "session_id": approval.conversation.session_id,
        "bot_id": approval.conversation.bot_id,
        "tool": approval.tool,
        "arguments": whole_arguments(approval.arguments),
        "state": approval.state,
        "requested_at": approval.requested_at,
        "expires_at": approval.expires_at,
        "decided_at": approval.decided_at,
        "decided_by": approval.decided_by,
        "note": approval.note,
    }


LIMIT = Parameter(
    name="limit",
    place="query",
    description="How many at most.",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
TURN = Parameter(
    name="turn_id",
    place="query",
    description="Only those of this turn.",
    schema={"type": "string"},
)

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/approvals",
        handler=index,
        permission="user",
        summary="List the tool calls that wait for a person",
        parameters=(TURN, LIMIT),
        replies={200: json_reply("What waits.", schemas.ref("Approvals"))},
    ),
    Route(
        method="POST",
        path="/api/v1/approvals/{approval_id}",
        handler=decide,
        permission="user",
        summary="Approve or deny a tool call",
        body=DecisionBody,
        replies={200: json_reply("The decision.", schemas.ref("Approval"))},
        errors=(409,),
    ),
)
