"""What is wired: agents, tools, connectors, channels and plugins, with their health."""

import asyncio
from dataclasses import asdict
from typing import Any

from aiohttp import web

from databot.connectors.base import Connectors, Health, HealthState
from databot.gateway import schemas
from databot.gateway.base import AgentInfo, ComponentStatus, ToolInfo
from databot.gateway.context import Gateway, principal_of
from databot.gateway.respond import json_response
from databot.gateway.routes import Route, json_reply
from databot.types.errors import ConnectorError, DatabotError, NotFound, describe

LOOK_TIMEOUT_S = 15.0
"""Connectors bound their own looks to a few seconds; this bounds all of them together."""


class CheckTimeout(DatabotError):
    """The connectors did not say how they are in time."""

    type = "check_timeout"
    status = 504


async def agents(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """The specialists."""
    found = [agent_payload(each) for each in gateway.services.catalog.agents(tenant_of(request))]
    return json_response(request, {"agents": found})


async def tools(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """The tools."""
    found = [tool_payload(each) for each in gateway.services.catalog.tools(tenant_of(request))]
    return json_response(request, {"tools": found})


async def channels(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """The channels."""
    found = [component_payload(each) for each in gateway.services.catalog.channels()]
    return json_response(request, {"channels": found})


async def plugins(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """The plugins, with what became of each."""
    found = [asdict(each) for each in gateway.services.catalog.plugins()]
    return json_response(request, {"plugins": found})


async def connectors(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """The connectors with their health, asked now."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            found = await gateway.services.catalog.connectors(tenant_of(request)).statuses()
    except TimeoutError as error:
        raise CheckTimeout(f"no answer from the connectors in {LOOK_TIMEOUT_S:g} s") from error
    shown = [connector_payload(each.name, each.type, each.health) for each in found]
    return json_response(request, {"connectors": shown})


async def check(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Ask one connector how it is."""
    name = request.match_info["name"]
    known = gateway.services.catalog.connectors(tenant_of(request))
    if name not in known.names():
        raise NotFound("connector", name)
    kind, health = await _look(known, name)
    return json_response(request, connector_payload(name, kind, health))


async def _look(connectors: Connectors, name: str) -> tuple[str, Health]:
    """The health of one connector; one that could not be built is down, and says why."""
    try:
        connector = connectors.get(name)
    except ConnectorError as error:
        return "", Health(state=HealthState.DOWN, detail=describe(error))
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return connector.kind, await connector.health()
    except TimeoutError:
        detail = f"no answer in {LOOK_TIMEOUT_S:g} s"
        return connector.kind, Health(state=HealthState.DOWN, detail=detail)


def tenant_of(request: web.Request) -> str:
    return principal_of(request).tenant_id


def component_payload(component: ComponentStatus) -> dict[str, Any]:
    return {
        "name": component.name,
        "ready": component.ready,
        "required": component.required,
        "detail": component.detail,
    }


def agent_payload(agent: AgentInfo) -> dict[str, Any]:
    return asdict(agent)


def tool_payload(tool: ToolInfo) -> dict[str, Any]:
    return asdict(tool.spec) | {"effect": tool.effect}


def connector_payload(name: str, kind: str, health: Health) -> dict[str, Any]:
    return {"name": name, "type": kind, "health": asdict(health)}


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/agents",
        handler=agents,
        permission="user",
        summary="List the specialists",
        replies={200: json_reply("The specialists.", schemas.listing("agents", "Agent"))},
    ),
    Route(
        method="GET",
        path="/api/v1/tools",
        handler=tools,
        permission="user",
        summary="List the tools",
        replies={200: json_reply("The tools.", schemas.listing("tools", "Tool"))},
    ),
    Route(
        method="GET",
        path="/api/v1/connectors",
        handler=connectors,
        permission="user",
        summary="List the connectors with their health",
        replies={
            200: json_reply("The connectors.", schemas.listing("connectors", "Connector")),
        },
        errors=(504,),
    ),
    Route(
        method="POST",
        path="/api/v1/connectors/{name}/check",
        handler=check,
        permission="user",
        summary="Ask a connector how it is",
        replies={200: json_reply("The connector.", schemas.ref("Connector"))},
    ),
    Route(
        method="GET",
        path="/api/v1/channels",
        handler=channels,
        permission="user",
        summary="List the channels",
        replies={200: json_reply("The channels.", schemas.listing("channels", "Component"))},
    ),
    Route(
        method="GET",
        path="/api/v1/plugins",
        handler=plugins,
        permission="user",
        summary="List the plugins",
        replies={200: json_reply("The plugins.", schemas.listing("plugins", "Plugin"))},
    ),
)
