"""A gateway on a free loopback port, in front of a house in memory."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest

from databot.gateway.app import make_app
from databot.gateway.context import GATEWAY, Gateway
from databot.gateway.options import ApiKeyOptions, GatewayOptions, RateLimitOptions
from databot.gateway.server import listening
from tests.gateway.house import House

SECRET = "alpha-secret-0123456789"
OTHER_SECRET = "beta-secret-0123456789"
KEYS = (
    ApiKeyOptions(name="alice", secret=SECRET),
    ApiKeyOptions(name="bob", secret=OTHER_SECRET, tenant_id="acme"),
)
BOUND_S = 20.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return orjson.loads(self.body)

    @property
    def error(self) -> Json:
        return self.json["error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running gateway and a client of it."""

    url: str
    house: House
    gateway: Gateway
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, **rest: Any) -> Answer:  # noqa: ANN401 - aiohttp's own
        async with asyncio.timeout(BOUND_S):
            async with self.http.request(
                method, self.url + path, allow_redirects=False, **rest
            ) as response:
                body = await response.read()
                return Answer(status=response.status, headers=response.headers, body=body)

    async def chat(self, message: str, **rest: Any) -> Answer:  # noqa: ANN401 - JSON
        return await self.call("POST", "/api/v1/chat", json={"message": message, **rest})

    async def send(self, message: str, **rest: Any) -> Json:  # noqa: ANN401 - JSON
        answer = await self.call("POST", "/api/v1/messages", json={"message": message, **rest})
        assert answer.status == 202, answer.body
        return answer.json


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncGenerator[Serve]:
    """Start gateways: `await serve(api_keys=KEYS)`; all of them stop with the test."""
    async with AsyncExitStack() as stack:

        async def start(house: House | None = None, **options: Any) -> Served:  # noqa: ANN401 - options
            house = house or House()
            options.setdefault("rate_limit", RateLimitOptions(requests=100_000, per_s=1))
            app = make_app(house.services(), GatewayOptions(**options))
            url = await stack.enter_async_context(listening(app, "127.0.0.1", 0, drain_s=0.05))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Served(url=url, house=house, gateway=app[GATEWAY], http=http)

        yield start


@pytest.fixture
async def served(serve: Serve) -> Served:
    """A gateway without keys, as on a laptop."""
    return await serve()


@pytest.fixture
async def guarded(serve: Serve) -> Served:
    """A gateway with two keys, of two tenants."""
    return await serve(api_keys=KEYS)


def bearer(secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def read_events(body: bytes) -> list[tuple[int | None, str, Json]]:
    """Server-sent events as (id, name, data); comments and `retry` are left out."""
    found: list[tuple[int | None, str, Json]] = []
    for block in body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "event" in fields:
            number = int(fields["id"]) if "id" in fields else None
            found.append((number, fields["event"], orjson.loads(fields["data"])))
    return found
