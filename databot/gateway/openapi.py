"""The OpenAPI 3.1 document, made from the route table and the models that check requests."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from databot.gateway.routes import Parameter, Reply, Route, problems
from databot.gateway.schemas import SCHEMAS, ref

PATH_PARAMETER = re.compile(r"\{(\w+)\}")
TEXT = (
    "Errors are `{error: {type, message, detail?, request_id}}`. Fields a request does not know are ignored. "
    "`X-Request-ID` is echoed."
)


def make_document(routes: Iterable[Route], *, version: str, secured: bool) -> dict[str, Any]:
    """The whole document; `secured` says whether this gateway asks for keys."""
    components = dict[str, Any](SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "databot", "version": version, "description": TEXT},
        "paths": paths,
        "components": {"schemas": components},
    }
    if secured:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"key": []}]
    return document


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{_words(route.path)}",
        "summary": route.summary,
        "responses": _responses(route),
    }
    if route.permission == "public":
        operation["security"] = []
    parameters = [_path_parameter(name) for name in PATH_PARAMETER.findall(route.path)]
    parameters += [_parameter(each) for each in route.parameters]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = route.body.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(schema.pop("$defs", {}))
        components[route.body.__name__] = schema
        content = {"application/json": {"schema": ref(route.body.__name__)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(route: Route) -> dict[str, Any]:
    shown = {str(status): _reply(reply) for status, reply in route.replies.items()}
    for status in problems(route):
        shown.setdefault(
            str(status),
            {
                "description": HTTPStatus(status).phrase,
                "content": {"application/json": {"schema": ref("Error")}},
            },
        )
    return dict(sorted(shown.items()))


def _reply(reply: Reply) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": reply.description}
    if reply.media:
        shown["content"] = {kind: {"schema": schema} for kind, schema in reply.media.items()}
    return shown


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": False,
        "schema": dict(parameter.schema),
    }


def _words(path: str) -> str:
    return re.sub(r"\W+", "_", path).strip("_") or "root"
