"""The route table's vocabulary: what a route is, what it needs, what it answers.

A route cannot be written down without its permission. The guard, the OpenAPI document and the docs page are all made
from the same table, so none of them can say something the others do not.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from databot.gateway.context import Gateway

Permission = Literal["public", "user"]
Handler = Callable[[Gateway, web.Request], Awaitable[web.StreamResponse]]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter or a header a route reads."""

    name: str
    place: Literal["query", "header"]
    description: str
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A good answer: `media` maps each media type it may have to its schema."""

    description: str
    media: Mapping[str, Schema] = field(default_factory=dict[str, Schema])


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route; `errors` are the refusals beyond those every route of its permission has.

    `socket`: a WebSocket, which may authenticate in its first frame.
    """

    method: str
    path: str
    handler: Handler
    permission: Permission
    summary: str
    replies: Mapping[int, Reply]
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    socket: bool = False


def json_reply(description: str, schema: Schema) -> Reply:
    """An answer with a JSON body."""
    return Reply(description=description, media={"application/json": schema})


def problems(route: Route) -> tuple[int, ...]:
    """Every error status the route can answer with."""
    known = {400, 403}
    if route.permission == "user":
        known |= {401, 429, 503}
    if "{" in route.path:
        known.add(404)
    if route.body is not None:
        known |= {408, 413, 415}
    return tuple(sorted(known | set(route.errors)))
