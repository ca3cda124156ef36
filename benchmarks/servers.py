"""The servers that are measured beside each other, each a process of its own.

    python -m benchmarks.servers bare      aiohttp on uvloop: `GET /` and a WebSocket echo at `/ws`
    python -m benchmarks.servers door      our gateway over an engine that answers at once
    python -m benchmarks.servers lane      our gateway over our engine and store; turns are settled without a model
    python -m benchmarks.servers queue     the same; turns never end
    python -m benchmarks.servers model     a scripted model; asked for something slow, it calls the `sql` tool; asked to
                                           hang, it does so once

Each prints its address and serves until it is told to stop.
"""

import argparse
import asyncio
import gc
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.engines import KEY, InstantEngine, open_lanes, services_of
from databot.core.base import Engine
from databot.gateway.app import make_app
from databot.gateway.options import ApiKeyOptions, GatewayOptions, RateLimitOptions
from databot.gateway.server import listening
from databot.storage.base import Inbox
from databot.storage.open import open_store
from databot.testing.memory_log import MemoryLog
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Answer, Say
from databot.types.chat import ToolCall
from databot.types.clock import RandomIds, SystemClock

HELLO = b'{"hello":"world"}'
JSON_HEADERS = {"Content-Type": "application/json"}
SLOW, HANG = "slow query", "hang once"
HANG_S = 30.0


async def hello(_: web.Request) -> web.Response:
    return web.Response(body=HELLO, headers=JSON_HEADERS)


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for frame in socket:
        if frame.type is WSMsgType.TEXT:
            await socket.send_str(frame.data)
    return socket


async def bare(stack: AsyncExitStack, _: argparse.Namespace) -> str:
    """What aiohttp costs by itself."""
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/ws", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


async def door(stack: AsyncExitStack, _: argparse.Namespace) -> str:
    """The gateway alone: every message is accepted and answered at once, and nothing is kept."""
    log = MemoryLog(SystemClock())
    return await open_door(stack, InstantEngine(), log)


async def lane(stack: AsyncExitStack, given: argparse.Namespace) -> str:
    """The gateway over a real store: every message is kept, put in order and acknowledged; its turn is claimed and
    settled at once or, for `queue`, never.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-")))
    clock, ids = SystemClock(), RandomIds()
    store = await stack.enter_async_context(
        open_store(f"sqlite:///{folder / 'databot.db'}", folder, clock, ids)
    )
    engine = await stack.enter_async_context(open_lanes(store, hold=given.name == "queue"))
    return await open_door(stack, engine, store.inbox)


async def open_door(stack: AsyncExitStack, engine: Engine, inbox: Inbox) -> str:
    options = GatewayOptions(
        api_keys=(ApiKeyOptions(name="bench", secret=KEY),),
        rate_limit=RateLimitOptions(requests=1_000_000_000, per_s=1),
        max_followed_turns=1_000_000,
    )
    app = make_app(services_of(engine, inbox), options)
    return await stack.enter_async_context(listening(app, "127.0.0.1", 0))


async def model(stack: AsyncExitStack, given: argparse.Namespace) -> str:
    """A model that takes its time and answers.

    Asked for something slow, it first has a query run; asked to hang, it does not answer the first time.
    """
    call = ToolCall(id="call_1", name="sql", arguments=given.arguments)
    reply = Say(text="The answer is ready.")
    hung: set[str] = set()

    def answer(body: Mapping[str, Any]) -> Answer:
        last = body["messages"][-1]
        if HANG in last["content"] and last["content"] not in hung:
            hung.add(last["content"])
            return Say(text="Too late.", latency_s=HANG_S)
        slow = last["role"] == "user" and SLOW in last["content"]
        return Say(calls=(call,)) if slow else reply

    server = ModelServer(latency_s=given.latency_ms / 1000, record=False)
    server.always(answer)
    await stack.enter_async_context(server)
    return server.url


def import_heavy() -> None:
    """Fill the heap as a daemon with every vendor and retrieval does."""
    import chromadb  # noqa: F401 # pyright: ignore[reportUnusedImport] - imported for its weight
    import litellm  # noqa: F401 # pyright: ignore[reportUnusedImport] - imported for its weight


SERVERS: dict[str, Callable[[AsyncExitStack, argparse.Namespace], Awaitable[str]]] = {
    "bare": bare,
    "door": door,
    "lane": lane,
    "queue": lane,
    "model": model,
}


async def serve(given: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        url = await SERVERS[given.name](stack, given)
        gc.collect()
        gc.freeze()
        sys.stdout.write(f"ready {url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers")
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of the model")
    parser.add_argument("--arguments", default="{}", help="of the model's slow tool call")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
