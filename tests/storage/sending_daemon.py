"""A process that claims replies from a store and sends them over HTTP until it is killed.

Run as `python -m tests.storage.sending_daemon STORE_URL PLATFORM_URL KIND WORKER`; `KIND` says what its platform can do.
"""

import asyncio
import sys
from contextlib import aclosing
from typing import Any

import aiohttp

from databot.channels.base import BaseChannel, Capabilities, ChannelConfig, Publish
from databot.channels.outbox import OutboxWorker
from databot.storage.open import open_database
from databot.storage.outbox import SqlOutbox
from databot.types.clock import SystemClock
from databot.types.messages import OutboundMessage

LEASE_S = 1.0
KINDS = {
    "idempotent": Capabilities(idempotent_sends=True),
    "findable": Capabilities(can_find=True),
    "neither": Capabilities(),
}


class HttpPost(BaseChannel):
    """Sends to a platform with two routes: POST /messages and GET /messages/ID."""

    name = "post"

    def __init__(self, url: str, kind: str) -> None:
        super().__init__(ChannelConfig())
        self.url = url
        self.able = KINDS[kind]

    def capabilities(self) -> Capabilities:
        return self.able

    async def run(self, publish: Publish) -> None:
        await asyncio.Event().wait()

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        body = {"id": delivery_id, "chat": message.chat_id, "text": message.content}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/messages", json=body) as response,
        ):
            response.raise_for_status()
            return (await response.json())["platform_id"]

    async def find_sent(self, message: OutboundMessage, delivery_id: str) -> str | None:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/messages/{delivery_id}") as response,
        ):
            found: dict[str, Any] = await response.json()
            return found["platform_id"]


async def main(store_url: str, platform_url: str, kind: str, worker: str) -> None:
    clock = SystemClock()
    async with aclosing(await open_database(store_url, exclusive=False)) as database:
        outbox = SqlOutbox(database, clock, lease_s=LEASE_S)
        channel = HttpPost(platform_url, kind)
        await OutboxWorker({"post": channel}, outbox, clock, worker=worker).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
