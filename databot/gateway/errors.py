"""Failures as HTTP answers: the one error body, and the few refusals that only exist on HTTP.

The tree of `databot.types.errors` decides type, status and text; nothing here invents a message for another room.
"""

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from databot.types.errors import Busy, DatabotError, RequestError, describe

UNEXPECTED = describe(Exception())
"""What a person is told about a fault of ours."""


class UnsupportedMediaType(RequestError):
    """The body is not JSON by its `Content-Type`."""

    type = "unsupported_media_type"
    status = 415


class UnreadBody(RequestError):
    """The body could not be read to its end, so the connection is of no more use."""


class SlowBody(UnreadBody):
    """The body did not arrive in time."""

    type = "request_timeout"
    status = 408


class RateLimited(Busy):
    """The caller sent more than its share."""

    type = "rate_limited"


class ShuttingDown(DatabotError):
    """The daemon is stopping; what was accepted goes on after the restart."""

    type = "shutting_down"
    status = 503
    retry_after_s = 5.0

    def __init__(self, message: str = "databot is restarting and takes no new work") -> None:
        super().__init__(message, hint="try again in a few seconds")


INTERRUPTED = "interrupted"
"""How a stream ends whose turn goes on after the daemon's restart; no error of the tree, for nothing failed."""
HTTP_TYPES = {
    400: ("invalid_request", "the request cannot be understood"),
    404: ("not_found", "there is no such route"),
    405: ("method_not_allowed", "this route does not take that method"),
    413: ("too_large", "the body is larger than this service takes"),
}
"""What aiohttp refuses by itself, in our words."""


def error_body(error: DatabotError, request_id: str, detail: object = None) -> dict[str, Any]:
    """The body every failed request gets."""
    body: dict[str, Any] = {"type": error.type, "message": describe(error)}
    if detail is not None:
        body["detail"] = detail
    body["request_id"] = request_id
    return {"error": body}


def http_error_body(error: web.HTTPException, request_id: str) -> dict[str, Any]:
    """The same for what aiohttp itself refused."""
    kind, message = HTTP_TYPES.get(error.status, ("invalid_request", error.reason.lower()))
    return {"error": {"type": kind, "message": message, "request_id": request_id}}


def retry_after(error: DatabotError) -> str | None:
    """Whole seconds for `Retry-After`, where the error knows them."""
    seconds = getattr(error, "retry_after_s", None)
    return str(max(1, round(seconds))) if isinstance(seconds, int | float) else None


def status_of(error_type: str) -> int:
    """The HTTP status of a failed turn, by the type of its error; 500 for a type nobody declared."""
    if error_type == INTERRUPTED:
        return ShuttingDown.status
    for kind in _descendants(DatabotError):
        if kind.type == error_type:
            return kind.status
    return 500


def _descendants(kind: type[DatabotError]) -> Iterator[type[DatabotError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)
