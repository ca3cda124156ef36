"""For those who operate the daemon: liveness, readiness, counters."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from databot.gateway import schemas
from databot.gateway.api.catalog import component_payload
from databot.gateway.api.jobs import OPERATORS
from databot.gateway.base import ComponentStatus, Figure
from databot.gateway.context import Gateway
from databot.gateway.credentials import presented_key
from databot.gateway.metrics import exposition, without_tenants
from databot.gateway.respond import bytes_response, json_response
from databot.gateway.routes import Reply, Route, json_reply
from databot.types.errors import NotFound
from databot.types.messages import DEFAULT_TENANT

ALIVE = b'{"status":"ok"}'
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READY_TIMEOUT_S = 10.0
FRESH_S = 1.0


async def healthz(_: Gateway, request: web.Request) -> web.StreamResponse:
    """The process answers; nothing else is asked."""
    return bytes_response(request, ALIVE, "application/json")


class Readiness:
    """Asks the components, at most once in `FRESH_S`: the route is public, and each look reaches other systems."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._known: Sequence[ComponentStatus] = ()
        self._until = float("-inf")

    async def components(self, gateway: Gateway) -> Sequence[ComponentStatus]:
        async with self._asking:
            if gateway.clock.monotonic() >= self._until:
                self._known = await _ask(gateway)
                self._until = gateway.clock.monotonic() + FRESH_S
            return self._known

    async def serve(self, gateway: Gateway, request: web.Request) -> web.StreamResponse:
        """Whether new work is welcome, part by part; why not is told only to those who may know."""
        return _told(gateway, request, await self.components(gateway))


def _told(
    gateway: Gateway, request: web.Request, components: Sequence[ComponentStatus]
) -> web.StreamResponse:
    ready = not gateway.lifetime.draining and all(c.ready for c in components if c.required)
    body = {
        "status": "ready" if ready else "not_ready",
        "draining": gateway.lifetime.draining,
        "version": gateway.options.version,
        "components": _shown(gateway, request, components),
    }
    return json_response(request, body, 200 if ready else 503)


async def _ask(gateway: Gateway) -> Sequence[ComponentStatus]:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            return await gateway.services.catalog.components()
    except TimeoutError:
        late = f"the components did not answer in {READY_TIMEOUT_S:g} s"
        return (ComponentStatus(name="components", ready=False, detail=late),)


def _shown(
    gateway: Gateway, request: web.Request, components: Sequence[ComponentStatus]
) -> list[dict[str, Any]]:
    """What the caller may know of them: without a key no reasons, and no tenant's own parts; nor another tenant's."""
    credentials = gateway.edge.credentials
    if not credentials:
        return [component_payload(each) for each in components]
    caller = credentials.principal(presented_key(request.headers))
    seen = [
        component_payload(each)
        for each in components
        if each.tenants is None or (caller is not None and caller.tenant_id in each.tenants)
    ]
    if caller is None:
        for each in seen:
            del each["detail"]
    return seen


class Counters:
    """Tells the gateway's counters and the daemon's figures; these are read at most once in `FRESH_S`."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._known: Sequence[Figure] = ()
        self._until = float("-inf")

    async def serve(self, gateway: Gateway, request: web.Request) -> web.StreamResponse:
        """What Prometheus reads; not there when switched off."""
        if not gateway.options.metrics:
            raise NotFound("route", "/metrics")
        figures = await self._figures(gateway)
        if not _may_know_tenants(gateway, request):
            figures = [without_tenants(each) for each in figures]
        text = gateway.metrics.text() + exposition(figures)
        return bytes_response(request, text.encode(), METRICS_TYPE)

    async def _figures(self, gateway: Gateway) -> Sequence[Figure]:
        source = gateway.services.figures
        if source is None:
            return ()
        async with self._asking:
            if gateway.clock.monotonic() >= self._until:
                self._known = await source.read()
                self._until = gateway.clock.monotonic() + FRESH_S
            return self._known


def _may_know_tenants(gateway: Gateway, request: web.Request) -> bool:
    """Whoever runs the daemon: on a machine without keys, or with an operator's key of the first tenant."""
    credentials = gateway.edge.credentials
    if not credentials:
        return True
    caller = credentials.principal(presented_key(request.headers))
    return (
        caller is not None and caller.tenant_id == DEFAULT_TENANT and bool(caller.roles & OPERATORS)
    )


def _readyz(readiness: Readiness) -> Route:
    return Route(
        method="GET",
        path="/readyz",
        handler=readiness.serve,
        permission="public",
        summary="Whether every part is ready",
        replies={
            200: json_reply("Ready.", schemas.ref("Readiness")),
            503: json_reply("Not ready.", schemas.ref("Readiness")),
        },
    )


def _metrics(counters: Counters) -> Route:
    return Route(
        method="GET",
        path="/metrics",
        handler=counters.serve,
        permission="public",
        summary="Counters for Prometheus",
        replies={
            200: Reply(description="Text format 0.0.4.", media={"text/plain": {"type": "string"}})
        },
        errors=(404,),
    )


def make_routes() -> tuple[Route, ...]:
    """The routes of one gateway."""
    return (*ROUTES, _metrics(Counters()), _readyz(Readiness()))


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        handler=healthz,
        permission="public",
        summary="Whether the process is alive",
        replies={200: json_reply("Alive.", schemas.ref("Alive"))},
    ),
)
