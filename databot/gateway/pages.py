"""The pages people look at, and the few files those load.

Everything comes from this package, nothing from elsewhere: no build step, no CDN. The pages' content security policy
allows scripts and styles from this origin only, and no inline ones.
"""

import functools
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from string import Template

from aiohttp import web

from databot.gateway import schemas
from databot.gateway.context import Gateway
from databot.gateway.respond import bytes_response, headers_for
from databot.gateway.routes import Handler, Reply, Route
from databot.types.errors import NotFound, shorten

HTML = "text/html; charset=utf-8"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS = {"Content-Security-Policy": PAGE_POLICY, "Cross-Origin-Opener-Policy": "same-origin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file of the package, read once."""

    body: bytes
    media_type: str
    etag: str


def load_static() -> dict[str, StaticFile]:
    """The files pages may load, by name."""
    folder = resources.files("databot.gateway") / "static"
    found: dict[str, StaticFile] = {}
    for entry in folder.iterdir():
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in TYPES:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            found[entry.name] = StaticFile(body=body, media_type=TYPES[suffix], etag=etag)
    return found


def make_static_handler(files: Mapping[str, StaticFile]) -> Handler:
    """Serve the files, each with its ETag: a browser asks again and is told that nothing changed."""

    async def static(_: Gateway, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        file = files.get(name)
        if file is None:
            raise NotFound("file", name)
        extra = {"ETag": file.etag, "Cache-Control": "no-cache"}
        if file.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers_for(request, file.media_type, extra))
        return bytes_response(request, file.body, file.media_type, extra)

    return static


@functools.lru_cache
def read_template(name: str) -> Template:
    """A page of the package, with `$names` to fill in; read once."""
    folder = resources.files("databot.gateway") / "static"
    return Template((folder / name).read_text(encoding="utf-8"))


async def chat_page(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """The chat page of one bot."""
    bot_id = request.match_info["bot_id"]
    if not gateway.has_bot(bot_id):
        return missing_bot(request, bot_id)
    page = read_template("chat.html").substitute(
        bot=html.escape(bot_id),
        name=html.escape(_bot_name(gateway, bot_id)),
        keys="yes" if gateway.edge.credentials else "no",
        limit=gateway.options.max_message_chars,
    )
    return bytes_response(request, page.encode(), HTML, PAGE_HEADERS)


def missing_bot(request: web.Request, bot_id: str) -> web.StreamResponse:
    """A page for a person who followed a wrong link; for programs the error every route has. Raises `NotFound`."""
    if "text/html" not in request.headers.get("Accept", ""):
        raise NotFound("bot", bot_id)
    page = read_template("missing.html").substitute(bot=html.escape(shorten(bot_id)))
    response = bytes_response(request, page.encode(), HTML, PAGE_HEADERS)
    response.set_status(404)
    return response


def _bot_name(gateway: Gateway, bot_id: str) -> str:
    """The bot's own name where no key is needed to talk to it; else only what the address says already."""
    if gateway.edge.credentials:
        return bot_id
    bots = gateway.services.catalog.bots("default")
    return next((bot.name for bot in bots if bot.id == bot_id), bot_id)


async def root(_: Gateway, request: web.Request) -> web.StreamResponse:
    """The front door leads to the default bot."""
    extra = {"Location": "/chat/default"}
    return web.Response(status=307, headers=headers_for(request, HTML, extra))


NO_BOT = Reply(
    description="There is no such bot: a page for those who accept one.",
    media={"text/html": {"type": "string"}, "application/json": schemas.ref("Error")},
)


def page(path: str, handler: Handler, summary: str, missing: Reply | None = None) -> Route:
    """A public route that answers with a page; `missing` is how it says that there is none."""
    reply = Reply(description="The page.", media={"text/html": {"type": "string"}})
    return Route(
        method="GET",
        path=path,
        handler=handler,
        permission="public",
        summary=summary,
        replies={200: reply} | ({404: missing} if missing else {}),
    )


def static_route(handler: Handler) -> Route:
    """The route of the files pages load."""
    kinds = {kind.partition(";")[0]: {"type": "string"} for kind in TYPES.values()}
    return Route(
        method="GET",
        path="/static/{name}",
        handler=handler,
        permission="public",
        summary="A file the pages load",
        replies={
            200: Reply(description="The file.", media=kinds),
            304: Reply(description="Not changed."),
        },
    )


ROUTES = (
    page("/chat/{bot_id}", chat_page, "The chat page of a bot", missing=NO_BOT),
    Route(
        method="GET",
        path="/",
        handler=root,
        permission="public",
        summary="To the chat page",
        replies={307: Reply(description="To /chat/default.")},
    ),
)
