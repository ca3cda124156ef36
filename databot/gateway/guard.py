"""The one middleware: request id, host and origin, credentials, rate limit, errors, counters.

One function does all of it because every further middleware costs each request. It decides by the route table; a path or
method outside the table is refused in the same form as everything else.
"""

import itertools
import logging
import re
from collections.abc import Mapping
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from databot.gateway.context import CALLER, Caller, Edge, Gateway
from databot.gateway.credentials import presented_key, protocol_key
from databot.gateway.errors import (
    UNEXPECTED,
    RateLimited,
    UnreadBody,
    error_body,
    http_error_body,
    retry_after,
)
from databot.gateway.respond import headers_for, json_response
from databot.gateway.routes import Route
from databot.types.errors import DatabotError, Forbidden, Unauthorized
from databot.types.messages import LOCAL_PRINCIPAL

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._~:+/=@-]{1,128}")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, X-API-Key, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-ID"
    ),
    "Access-Control-Max-Age": "600",
}


def make_guard(gateway: Gateway, declared: Mapping[object, Route]) -> Middleware:
    """The middleware of one gateway; `declared` finds a route by the handler aiohttp resolved."""
    edge, metrics = gateway.edge, gateway.metrics
    series, numbers = gateway.ids.new("req"), itertools.count(1)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = perf_counter()
        route = declared.get(request.match_info.handler)
        given = request.headers.get("X-Request-ID", "")
        safe = given and REQUEST_ID.fullmatch(given)
        caller = Caller(request_id=given if safe else f"{series}.{next(numbers):x}")
        origin = request.headers.get("Origin")
        if origin is not None and edge.origins.cors(origin):
            caller.cors = origin
        request[CALLER] = caller
        try:
            if request.method == "OPTIONS" and caller.cors:
                response = _preflight(request)
            else:
                _admit(edge, request, route, caller)
                response = await handler(request)
        except DatabotError as error:
            response = refusal(request, error)
            if isinstance(error, UnreadBody):
                response.force_close()
        except web.HTTPException as error:
            response = _http_refusal(request, error)
        except Exception:  # boundary: HTTP handler
            log.exception("%s %s failed", request.method, route.path if route else "(no route)")
            response = refusal(request, DatabotError(UNEXPECTED))
        label = route.path if route else "(none)"
        took_s = perf_counter() - begun
        metrics.request(_method(request), label, response.status, took_s)
        _note(caller, f"{_method(request)} {label}", response.status, took_s)
        return response

    return guard


def _note(caller: Caller, what: str, status: int, took_s: float) -> None:
    """One line a request at `debug`: by its route, never by what stands in its address."""
    if log.isEnabledFor(logging.DEBUG):
        fields = {"request_id": caller.request_id, "status": status, "ms": round(took_s * 1000, 1)}
        log.debug("%s %d in %.0f ms", what, status, took_s * 1000, extra={"fields": fields})


def refusal(request: web.Request, error: DatabotError, detail: object = None) -> web.Response:
    """The answer to a request that failed with one of our own errors."""
    extra: dict[str, str] = {}
    if (seconds := retry_after(error)) is not None:
        extra["Retry-After"] = seconds
    if isinstance(error, Unauthorized):
        extra["WWW-Authenticate"] = 'Bearer realm="databot"'
    body = error_body(error, request[CALLER].request_id, detail)
    return json_response(request, body, error.status, extra)


def _http_refusal(request: web.Request, error: web.HTTPException) -> web.Response:
    allow = error.headers.get("Allow")
    body = http_error_body(error, request[CALLER].request_id)
    return json_response(request, body, error.status, {"Allow": allow} if allow else None)


def _admit(edge: Edge, request: web.Request, route: Route | None, caller: Caller) -> None:
    """Let the request in or raise `Forbidden`, `Unauthorized` or `RateLimited`."""
    if route is not None and route.socket:
        _check_page(edge, request)
    if not edge.credentials:
        _check_local(edge, request)
        caller.principal = LOCAL_PRINCIPAL
    if route is None or route.permission == "public":
        return
    if edge.credentials:
        caller.principal = edge.credentials.principal(_given_key(request, route))
    if caller.principal is None or not edge.credentials:
        caller.bucket = f"ip:{client_address(edge, request)}"
    else:
        caller.bucket = f"key:{caller.principal.tenant_id}:{caller.principal.id}"
    if (wait := edge.limiter.take(caller.bucket)) > 0:
        raise RateLimited("too many requests", retry_after_s=wait)
    if caller.principal is None and not (route.socket and _given_key(request, route) is None):
        raise Unauthorized(
            "this route needs a valid API key",
            hint="send it as `Authorization: Bearer KEY` or `X-API-Key`",
        )


def _given_key(request: web.Request, route: Route) -> str | None:
    """The key the request brings; a WebSocket without one may still bring it in its first frame."""
    secret = presented_key(request.headers)
    if secret is None and route.socket:
        return protocol_key(offered_protocols(request))
    return secret


def _check_local(edge: Edge, request: web.Request) -> None:
    """Without keys only this machine's own programs and pages may call: no rebound name, no foreign page."""
    if not edge.origins.local_host(request.headers.get("Host", "")):
        raise Forbidden("the Host header names another machine", hint="use http://127.0.0.1")
    if request.method not in SAFE_METHODS:
        _check_page(edge, request)


def _check_page(edge: Edge, request: web.Request) -> None:
    """Refuse what a page of another site sends; programs send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None:
        foreign = request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}
    else:
        host = request.headers.get("Host", "")
        foreign = not edge.origins.same(origin, request.scheme, host)
    if foreign:
        raise Forbidden(
            "pages of this origin may not call databot", hint="add it to gateway.cors_origins"
        )


def _preflight(request: web.Request) -> web.Response:
    headers = headers_for(request, "text/plain", PREFLIGHT)
    return web.Response(status=204, headers=headers)


def _method(request: web.Request) -> str:
    """The method as a label: a caller cannot make new series with methods of its own."""
    return request.method if request.method in {"GET", "HEAD", "POST", "DELETE"} else "other"


def client_address(edge: Edge, request: web.Request) -> str:
    """The address of the caller, behind trusted proxies too."""
    return edge.proxies.client(request.remote or "", request.headers.getall("X-Forwarded-For", ()))


def offered_protocols(request: web.Request) -> list[str]:
    """The WebSocket sub-protocols the client offers, in its order."""
    lines = request.headers.getall("Sec-WebSocket-Protocol", ())
    return [each.strip() for line in lines for each in line.split(",")]
