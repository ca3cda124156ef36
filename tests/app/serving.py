"""A real gateway on loopback in front of a whole databot in this process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from databot.app.gateway import gateway_options
from databot.config.settings import Settings
from databot.gateway.app import make_app
from databot.gateway.base import GatewayServices
from databot.gateway.server import listening


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A client that holds one key, or none."""

    url: str
    http: aiohttp.ClientSession
    key: str = ""

    async def call(self, method: str, path: str, **rest: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        """The status and the JSON body, `None` where there is none."""
        headers = {"X-API-Key": self.key} if self.key else {}
        answer = self.http.request(method, self.url + path, headers=headers, **rest)
        async with answer as response:
            return response.status, await response.json() if response.status != 204 else None

    async def names(self, kind: str) -> list[str]:
        """The names in one of the lists of what is wired."""
        _, body = await self.call("GET", f"/api/v1/{kind}")
        return [each["name"] for each in body[kind]]


@asynccontextmanager
async def served(
    services: GatewayServices, settings: Settings, *keys: str
) -> AsyncGenerator[list[Caller]]:
    """A caller for each key, and a last one without any."""
    app = make_app(services, gateway_options(settings))
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        listening(app, "127.0.0.1", 0, drain_s=0.05) as url,
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        yield [Caller(url=url, http=http, key=key) for key in (*keys, "")]
