"""The API described: `/openapi.json` for programs and `/docs` for people, both made from the route table at start."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from databot.gateway.context import Gateway
from databot.gateway.openapi import make_document
from databot.gateway.pages import HTML, PAGE_HEADERS, page, read_template
from databot.gateway.respond import bytes_response
from databot.gateway.routes import Route, json_reply


class Documents:
    """Holds both bodies. They describe their own routes too, so the routes exist before the bodies do."""

    def __init__(self) -> None:
        self._openapi = b""
        self._page = b""

    def routes(self) -> Sequence[Route]:
        described = Route(
            method="GET",
            path="/openapi.json",
            handler=self._serve_openapi,
            permission="public",
            summary="This API as an OpenAPI 3.1 document",
            replies={200: json_reply("The document.", {"type": "object"})},
        )
        return described, page("/docs", self._serve_page, "This API, for reading")

    def describe(self, routes: Sequence[Route], *, version: str, secured: bool) -> None:
        """Make both bodies; `secured` says whether this gateway asks for keys."""
        document = make_document(routes, version=version, secured=secured)
        self._openapi = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        filled = read_template("docs.html").substitute(
            version=html.escape(version),
            text=_prose(document["info"]["description"]),
            routes="\n".join(_documented(document)),
            schemas="\n".join(_schemas(document)),
        )
        self._page = filled.encode()

    async def _serve_openapi(self, _: Gateway, request: web.Request) -> web.StreamResponse:
        return bytes_response(request, self._openapi, "application/json")

    async def _serve_page(self, _: Gateway, request: web.Request) -> web.StreamResponse:
        return bytes_response(request, self._page, HTML, PAGE_HEADERS)


def _documented(document: Mapping[str, Any]) -> list[str]:
    return [
        _operation(path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(each['name'])}</code></td><td>{html.escape(each['in'])}</td>"
        f"<td>{_prose(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", ())
    )
    parameters = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    answers = "".join(
        f"<tr><td><code>{status}</code></td><td>{_prose(each['description'])}</td></tr>"
        for status, each in operation["responses"].items()
    )
    body = operation.get("requestBody")
    sent = _body(body["content"]["application/json"]["schema"]) if body else ""
    public = "" if operation.get("security") != [] else ' <span class="public">public</span>'
    return (
        f'<details id="{html.escape(operation["operationId"])}"><summary><b>{method.upper()}</b> '
        f"<code>{html.escape(path)}</code> {html.escape(operation['summary'])}{public}</summary>"
        f"{parameters}{sent}<h4>Answers</h4><table><tbody>{answers}</tbody></table></details>"
    )


def _schemas(document: Mapping[str, Any]) -> list[str]:
    return [
        f'<details id="{html.escape(name)}"><summary><code>{html.escape(name)}</code></summary>'
        f"{_json(schema)}</details>"
        for name, schema in document["components"]["schemas"].items()
    ]


def _body(schema: Mapping[str, Any]) -> str:
    name = html.escape(schema["$ref"].rpartition("/")[2])
    return f'<h4>Body</h4><p><a href="#{name}"><code>{name}</code></a></p>'


def _prose(text: str) -> str:
    """Plain text with `code` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _json(value: object) -> str:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return f"<pre>{html.escape(text)}</pre>"
