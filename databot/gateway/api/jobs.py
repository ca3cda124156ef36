"""Background work of the caller's tenant, for those who operate it: look, try again, stop.

Served where the daemon has a desk for it. Turns that were given up stand among the jobs, as those of kind `turn`.
"""

from typing import Any, get_args

from aiohttp import web

from databot.gateway import schemas
from databot.gateway.base import GatewayServices
from databot.gateway.context import Gateway, principal_of
from databot.gateway.query import whole_number
from databot.gateway.respond import json_response
from databot.gateway.routes import Parameter, Reply, Route, json_reply
from databot.jobs.base import Desk, JobState, WorkItem
from databot.types.errors import Forbidden, RequestError

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
STATES: tuple[JobState, ...] = get_args(JobState)
OPERATORS = frozenset({"owner", "admin", "operator"})
"""Who may see and touch background work; a key that only asks questions may not."""


async def index(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Jobs of the caller's tenant, the last made first."""
    desk, tenant_id = _desk(gateway, request)
    asked, state = request.query.get("limit"), request.query.get("state")
    limit = DEFAULT_LIMIT if asked is None else whole_number(asked, "limit", 1, MAX_LIMIT)
    if state is not None and state not in STATES:
        raise RequestError(f"state must be one of {', '.join(STATES)}")
    found = await desk.list(tenant_id, state=state, limit=limit)
    return json_response(request, {"jobs": [_payload(item) for item in found]})


async def retry(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Try a failed or dead job, or a turn that was given up, once more."""
    desk, tenant_id = _desk(gateway, request)
    job_id = request.match_info["job_id"]
    await desk.retry(tenant_id, job_id)
    return json_response(request, {"id": job_id, "state": "queued"}, 202)


async def cancel(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """End a job that waits, or have one that runs stopped."""
    desk, tenant_id = _desk(gateway, request)
    job_id = request.match_info["job_id"]
    await desk.cancel(tenant_id, job_id)
    return json_response(request, {"id": job_id, "state": "cancelled"}, 202)


def _desk(gateway: Gateway, request: web.Request) -> tuple[Desk, str]:
    """The desk, and whose work it may show. Raises `Forbidden`."""
    caller = principal_of(request)
    if not caller.roles & OPERATORS:
        raise Forbidden(
            "this key may not operate background work",
            hint=f"use one with a role of {', '.join(sorted(OPERATORS))}",
        )
    desk = gateway.services.desk
    assert desk is not None  # without one there are no routes
    return desk, caller.tenant_id


def _payload(item: WorkItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "state": item.state,
        "attempts": item.attempts,
        "progress": item.progress,
        "error": item.error,
        "created_at": item.created_at,
        "ended_at": item.ended_at,
    }


def make_routes(services: GatewayServices) -> tuple[Route, ...]:
    """The routes, where there is work to show."""
    return ROUTES if services.desk is not None else ()


STATE = Parameter(
    name="state",
    place="query",
    description="Only those in this state.",
    schema={"type": "string", "enum": list(STATES)},
)
LIMIT = Parameter(
    name="limit",
    place="query",
    description="How many at most.",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)


def _asking(action: str, summary: str, handler: Any, done: str) -> Route:  # noqa: ANN401 - a Handler
    replies: dict[int, Reply] = {202: json_reply(done, schemas.ref("JobAsked"))}
    return Route(
        method="POST",
        path=f"/api/v1/jobs/{{job_id}}/{action}",
        handler=handler,
        permission="user",
        summary=summary,
        replies=replies,
        errors=(409,),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/jobs",
        handler=index,
        permission="user",
        summary="List background work and turns that were given up",
        parameters=(STATE, LIMIT),
        replies={200: json_reply("Jobs, the last made first.", schemas.ref("Jobs"))},
    ),
    _asking("retry", "Try a failed or dead job again", retry, "It is queued again."),
    _asking("cancel", "Stop a job", cancel, "It has ended, or will within seconds."),
)
