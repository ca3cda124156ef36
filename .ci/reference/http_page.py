"""The HTTP API, from the document a gateway serves: routes, parameters, answers and shapes."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from config_page import refers
from markdown_text import code, table

from databot.gateway.app import make_gateway, make_routes
from databot.gateway.openapi import make_document
from databot.gateway.options import GatewayOptions
from databot.testing.running import running_databot
from databot.types.clock import RandomIds, SystemClock


async def openapi() -> dict[str, Any]:
    """The document a gateway with keys serves at `/openapi.json`."""
    async with running_databot() as bot:
        gateway = make_gateway(bot.services, GatewayOptions(), SystemClock(), RandomIds())
        return make_document(make_routes(gateway), version="", secured=True)


def http_page() -> Iterator[str]:
    document = asyncio.run(openapi())
    yield document["info"]["description"]
    yield (
        "The same as a document: `/openapi.json`, for reading at `/docs`. With keys configured every route that is not "
        "public needs one, as `Authorization: Bearer KEY` or `X-API-Key`."
    )
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    yield table(
        ("route", "what", "key"),
        [
            (
                code(f"{method} {path}"),
                operation["summary"],
                "public" if operation.get("security") == [] else "needed",
            )
            for method, path, operation in operations
        ],
    )
    for method, path, operation in operations:
        yield f"## `{method} {path}`"
        yield operation["summary"] + "."
        yield from operation_parts(operation)
    yield "## Shapes"
    for name, schema in document["components"]["schemas"].items():
        yield f"### {name}"
        yield shape_table(schema)


def operation_parts(operation: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (code(item["name"]), item["in"], item.get("description", "part of the path"))
        for item in operation.get("parameters", ())
    ]
    if rows:
        yield table(("parameter", "in", "meaning"), rows)
    body = operation.get("requestBody")
    if body:
        yield f"Body: {named(body['content']['application/json']['schema'])}."
    good = {
        number: reply for number, reply in operation["responses"].items() if not is_error(reply)
    }
    rows = [(code(number), reply["description"], bodies(reply)) for number, reply in good.items()]
    yield table(("answer", "meaning", "body"), rows)
    refused = [number for number in operation["responses"] if number not in good]
    if refused:
        yield f"Errors: {', '.join(map(code, refused))}."


def is_error(reply: Mapping[str, Any]) -> bool:
    content = reply.get("content", {}).get("application/json", {})
    return refers(content.get("schema")) == "#/components/schemas/Error"


def bodies(reply: Mapping[str, Any]) -> str:
    """The media types of an answer, each with its shape."""
    return ", ".join(
        f"{code(kind)} {'[events](events.md)' if kind == 'text/event-stream' else named(item['schema'])}"
        for kind, item in reply.get("content", {}).items()
    )


def shape_table(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            code(name),
            named(part),
            "" if name in required else "optional",
            part.get("description", ""),
        )
        for name, part in schema.get("properties", {}).items()
    ]
    return table(("field", "type", "", "meaning"), rows)


def named(schema: Mapping[str, Any]) -> str:
    """A schema as a link to its shape, or in a word."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(named(item) for item in schema["anyOf"])
    if schema.get("type") == "array":
        inner = named(schema.get("items") or {})
        return f"list of {inner}" if inner != "any" else "list"
    if schema.get("type") == "object" and "properties" in schema:
        inside = ", ".join(
            f"{code(key)} {named(part)}" for key, part in schema["properties"].items()
        )
        return f"object ({inside})"
    return str(schema.get("type", "any"))
