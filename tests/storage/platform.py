"""A platform that people look at: it keeps every message it is sent, and can be told not to answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(kw_only=True)
class Platform:
    """`received` has the delivery ids as they came, `shown` what people see, as (chat, text)."""

    knows_again: bool = False
    received: list[str] = field(default_factory=list[str])
    shown: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    kept: dict[str, str] = field(default_factory=dict[str, str])
    looks: list[str] = field(default_factory=list[str])
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def post(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.received.append(body["id"])
        if not (self.knows_again and body["id"] in self.kept):
            self.shown.append((body["chat"], body["text"]))
        self.kept.setdefault(body["id"], f"m{len(self.kept)}")
        self.came.set()
        await self.answers.wait()
        return web.json_response({"platform_id": self.kept[body["id"]]})

    async def look(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.looks.append(name)
        return web.json_response({"platform_id": self.kept.get(name)})


@asynccontextmanager
async def platform_of(kind: str) -> AsyncGenerator[Platform]:
    """A platform of that kind (`sending_daemon`), listening; it answers from the start."""
    platform = Platform(knows_again=kind == "idempotent")
    platform.answers.set()
    app = web.Application()
    app.router.add_post("/messages", platform.post)
    app.router.add_get("/messages/{name}", platform.look)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield platform
    finally:
        await runner.cleanup()
