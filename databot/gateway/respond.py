"""Answers: JSON bodies by orjson, with the headers every answer carries put together in one go."""

import json
from collections.abc import Mapping

import orjson
from aiohttp import web

from databot.gateway.context import CALLER

COMMON_HEADERS = {
    "Server": "databot",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
JSON = "application/json"
EXPOSED = "X-Request-ID, X-Turn-ID, X-Session-ID, Retry-After"


def headers_for(
    request: web.Request, content_type: str, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """All headers of an answer to this request; `extra` wins."""
    caller = request[CALLER]
    headers = COMMON_HEADERS | {"Content-Type": content_type, "X-Request-ID": caller.request_id}
    if caller.cors:
        headers |= {
            "Access-Control-Allow-Origin": caller.cors,
            "Access-Control-Expose-Headers": EXPOSED,
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Vary": "Origin",
        }
    if extra:
        headers |= extra
    return headers


def dumps(payload: object) -> bytes:
    """JSON text; a value JSON has no word for (a decimal, a date of a driver) becomes its string.

    What orjson refuses and a plugin may still produce (half a character, an integer of 70 bits) is spelled by the
    standard library.
    """
    try:
        return orjson.dumps(payload, default=str)
    except TypeError:
        return json.dumps(payload, default=str).encode()


def json_response(
    request: web.Request,
    payload: object,
    status: int = 200,
    extra: Mapping[str, str] | None = None,
) -> web.Response:
    """An answer with a JSON body."""
    headers = headers_for(request, JSON, extra)
    return web.Response(body=dumps(payload), status=status, headers=headers)


def bytes_response(
    request: web.Request,
    body: bytes,
    content_type: str,
    extra: Mapping[str, str] | None = None,
) -> web.Response:
    """An answer whose body is ready."""
    return web.Response(body=body, headers=headers_for(request, content_type, extra))
