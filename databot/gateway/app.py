"""The gateway as an aiohttp application: the route table, the guard in front of it, and what both are made from."""

import functools
from collections.abc import Sequence

from aiohttp import web

from databot.gateway import pages, websocket
from databot.gateway.api import approvals, artifacts, catalog, jobs, operations, sessions, turns
from databot.gateway.base import GatewayServices
from databot.gateway.context import GATEWAY, Edge, Gateway
from databot.gateway.credentials import Credentials
from databot.gateway.documents import Documents
from databot.gateway.guard import make_guard
from databot.gateway.lifetime import Lifetime
from databot.gateway.metrics import Metrics
from databot.gateway.options import GatewayOptions, check_binding
from databot.gateway.origins import Origins, Proxies
from databot.gateway.ratelimit import RateLimiter
from databot.gateway.routes import Route
from databot.types.clock import Clock, Ids, RandomIds, SystemClock
from databot.types.errors import ConfigError


def make_app(
    services: GatewayServices,
    options: GatewayOptions,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
) -> web.Application:
    """Build the application; nothing is opened. Raises `ConfigError` for options that cannot be used."""
    gateway = make_gateway(services, options, clock or SystemClock(), ids or RandomIds())
    declared: dict[object, Route] = {}
    app = web.Application(
        middlewares=[make_guard(gateway, declared)], client_max_size=options.max_body_bytes
    )
    app[GATEWAY] = gateway
    for route in make_routes(gateway):
        handler = functools.partial(route.handler, gateway)
        declared[handler] = route
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET" and route.permission == "public":
            app.router.add_route("HEAD", route.path, handler)
    check_declared(app, declared)
    return app


def check_options(options: GatewayOptions) -> None:
    """Refuse what `make_app` refuses, and an open door, before anything is opened. Raises `ConfigError`."""
    check_binding(options.host, options.api_keys)
    make_edge(options, SystemClock())


def make_gateway(
    services: GatewayServices, options: GatewayOptions, clock: Clock, ids: Ids
) -> Gateway:
    """What the handlers are given."""
    return Gateway(
        services=services,
        options=options,
        edge=make_edge(options, clock),
        metrics=Metrics(),
        lifetime=Lifetime(),
        clock=clock,
        ids=ids,
    )


def make_edge(options: GatewayOptions, clock: Clock) -> Edge:
    """What decides who comes in. Raises `ConfigError`."""
    return Edge(
        credentials=Credentials(options.api_keys),
        origins=Origins(options.cors_origins, options.public_url),
        proxies=Proxies(options.trusted_proxies),
        limiter=RateLimiter(options.rate_limit, clock),
    )


def make_routes(gateway: Gateway) -> Sequence[Route]:
    """The whole route table: what is served is exactly what it says."""
    documents = Documents()
    table = (
        *turns.ROUTES,
        *approvals.ROUTES,
        *sessions.ROUTES,
        *artifacts.ROUTES,
        *catalog.ROUTES,
        *jobs.make_routes(gateway.services),
        *websocket.ROUTES,
        *operations.make_routes(),
        *pages.ROUTES,
        pages.static_route(pages.make_static_handler(pages.load_static())),
    )
    routes = (*table, *documents.routes())
    options = gateway.options
    documents.describe(routes, version=options.version, secured=bool(gateway.edge.credentials))
    return routes


def check_declared(app: web.Application, declared: dict[object, Route]) -> None:
    """Refuse to start with a route outside the table: it would have no permission. Raises `ConfigError`."""
    for route in app.router.routes():
        if route.handler not in declared:
            raise ConfigError(f"{route.method} {route.resource} is served but not in the table")
