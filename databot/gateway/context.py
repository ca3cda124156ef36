"""What every handler is given, and what is known about the request it serves."""

from dataclasses import dataclass

from aiohttp import web

from databot.gateway.base import GatewayServices
from databot.gateway.credentials import Credentials
from databot.gateway.lifetime import Lifetime
from databot.gateway.metrics import Metrics
from databot.gateway.options import GatewayOptions
from databot.gateway.origins import Origins, Proxies
from databot.gateway.ratelimit import RateLimiter
from databot.types.clock import Clock, Ids
from databot.types.errors import Unauthorized
from databot.types.messages import DEFAULT_TENANT, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What decides whether a request comes in."""

    credentials: Credentials
    origins: Origins
    proxies: Proxies
    limiter: RateLimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One running gateway, as its handlers see it."""

    services: GatewayServices
    options: GatewayOptions
    edge: Edge
    metrics: Metrics
    lifetime: Lifetime
    clock: Clock
    ids: Ids

    def has_bot(self, bot_id: str) -> bool:
        """Whether any tenant that can reach this gateway has such a bot."""
        tenants = {DEFAULT_TENANT, *(key.tenant_id for key in self.options.api_keys)}
        bots = (bot for tenant in tenants for bot in self.services.catalog.bots(tenant))
        return any(bot.id == bot_id for bot in bots)


@dataclass(slots=True, kw_only=True)
class Caller:
    """What the guard found out about a request.

    `principal` is `None` on public routes and on a WebSocket that has not authenticated yet; `cors` is the foreign
    origin that may read the answer, or empty; `bucket` names the caller to the rate limiter.
    """

    request_id: str
    principal: Principal | None = None
    cors: str = ""
    bucket: str = ""


CALLER = web.RequestKey("caller", Caller)
GATEWAY = web.AppKey("gateway", Gateway)


def principal_of(request: web.Request) -> Principal:
    """The caller of a route that needs one. Raises `Unauthorized`."""
    principal = request[CALLER].principal
    if principal is None:
        raise Unauthorized("this route needs an API key")
    return principal
