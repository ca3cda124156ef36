"""Kept files: charts, exports, full results. They are handed over, never shown as a page of ours."""

import re
from urllib.parse import quote

from aiohttp import web

from databot.gateway.context import Gateway, principal_of
from databot.gateway.respond import bytes_response
from databot.gateway.routes import Reply, Route
from databot.types.errors import NotFound

OPAQUE = "application/octet-stream"
MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}(; charset=utf-8)?")
PAGES = frozenset({"text/html", "application/xhtml+xml", "text/xml", "application/xml"})
"""Types a browser would run as a page of our origin; they are sent as plain bytes."""
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
"""An SVG chart may style itself; it can run, load and submit nothing, even when it is opened by itself."""


async def download(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """A kept file, as a download."""
    artifact_id = request.match_info["artifact_id"]
    tenant_id = principal_of(request).tenant_id
    artifact = await gateway.services.artifacts.load(tenant_id, artifact_id)
    if artifact is None:
        raise NotFound("artifact", artifact_id)
    extra = {
        "Content-Disposition": disposition(artifact.ref.name),
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "private, no-store",
    }
    return bytes_response(request, artifact.data, safe_type(artifact.ref.media_type), extra)


def safe_type(media_type: str) -> str:
    """The type if it is well-formed and no page, else plain bytes."""
    if not MEDIA_TYPE.fullmatch(media_type) or media_type.partition(";")[0] in PAGES:
        return OPAQUE
    return media_type


def disposition(name: str) -> str:
    """`attachment` with the name in ASCII and, as RFC 5987 has it, in UTF-8."""
    base = re.split(r"[/\\]", name)[-1].strip() or "file"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", base)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}"


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/artifacts/{artifact_id}",
        handler=download,
        permission="user",
        summary="Download a kept file",
        replies={
            200: Reply(
                description="The bytes.", media={"*/*": {"type": "string", "format": "binary"}}
            )
        },
    ),
)
