"""The example's proxy: what it passes on as it comes, what it cuts, and whom it leaves out."""

import asyncio
import importlib.util
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

FILE = Path(__file__).parents[2] / "examples" / "scale-out" / "proxy.py"


@pytest.fixture(scope="module")
def proxy_module() -> Any:  # noqa: ANN401 - a module read from its file
    spec = importlib.util.spec_from_file_location("scale_out_proxy", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FakeReplica:
    """A server that is ready or not, streams until it is told to go on, and echoes on a socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = True
        self.asked = 0
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()
        self.headers: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/readyz":
            return web.Response(status=200 if self.ready else 503)
        self.asked += 1
        self.headers = dict(request.headers)
        if request.path == "/stream":
            return await self._stream(request)
        if request.path == "/socket":
            return await self._socket(request)
        if request.path == "/refused":
            raise web.HTTPUnauthorized
        body = await request.read()
        return web.Response(body=body or self.name.encode(), headers={"X-From": self.name})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"first")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        if request.query.get("die") and request.transport is not None:
            request.transport.abort()
            return response
        await response.write(b" second")
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["databot.v1"])
        await socket.prepare(request)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4001)
            else:
                await socket.send_str(f"{self.name}: {message.data}")
        return socket


@asynccontextmanager
async def listening(replica: FakeReplica) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", replica.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class House:
    """A proxy with two replicas, and a client of it."""

    def __init__(self, proxy: Any, url: str, client: aiohttp.ClientSession) -> None:  # noqa: ANN401
        self.proxy = proxy
        self.url = url
        self.client = client
        self.one, self.two = FakeReplica("one"), FakeReplica("two")


@pytest.fixture
async def house(proxy_module: Any) -> AsyncGenerator[House]:  # noqa: ANN401
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        proxy_module.serving("127.0.0.1", 0) as (proxy, url),
        aiohttp.ClientSession(timeout=timeout) as client,
    ):
        house = House(proxy, url, client)
        async with listening(house.one) as one, listening(house.two) as two:
            proxy.replicas.update(one=one, two=two)
            await proxy.look()
            yield house


async def text_of(house: House, path: str = "/") -> str:
    async with house.client.get(house.url + path) as response:
        assert response.status == 200
        return await response.text()


async def test_requests_go_to_each_replica_in_turn(house: House) -> None:
    assert sorted([await text_of(house) for _ in range(6)]) == ["one"] * 3 + ["two"] * 3


async def test_a_replica_that_is_not_ready_or_gone_is_left_out(house: House) -> None:
    house.one.ready = False
    await house.proxy.look()
    assert {await text_of(house) for _ in range(4)} == {"two"}
    house.one.ready = True
    house.proxy.replicas["gone"] = "http://127.0.0.1:1"
    await house.proxy.look()
    assert {await text_of(house) for _ in range(6)} == {"one", "two"}
    house.proxy.replicas.clear()
    await house.proxy.look()
    async with house.client.get(house.url) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_a_replica_that_dies_between_two_looks_is_passed_over(proxy_module: Any) -> None:  # noqa: ANN401
    async with proxy_module.serving("127.0.0.1", 0) as (proxy, url), aiohttp.ClientSession() as c:
        house = House(proxy, url, c)
        async with listening(house.two) as two:
            async with listening(house.one) as one:
                proxy.replicas.update(one=one, two=two)
                await proxy.look()
            for number in range(4):
                async with c.post(url, data=f"body {number}".encode()) as response:
                    assert await response.text() == f"body {number}"
                    assert response.headers["X-From"] == "two"


async def test_a_stream_comes_piece_by_piece(house: House) -> None:
    async with house.client.get(f"{house.url}/stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.content.readexactly(5) == b"first"
        house.one.go_on.set()
        house.two.go_on.set()
        assert await response.content.read() == b" second"


async def test_a_stream_whose_replica_dies_is_cut_and_not_ended(house: House) -> None:
    async with house.client.get(f"{house.url}/stream?die=1") as response:
        assert await response.content.readexactly(5) == b"first"
        house.one.go_on.set()
        house.two.go_on.set()
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()


async def test_a_reader_that_leaves_is_told_to_the_replica(house: House) -> None:
    async with house.client.get(f"{house.url}/stream") as response:
        assert await response.content.readexactly(5) == b"first"
        [reading] = [replica for replica in (house.one, house.two) if replica.asked]
    async with asyncio.timeout(10):
        await reading.left.wait()


async def test_the_replica_sees_who_asks_and_under_which_name(house: House) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "Host": "databot.example.com", "X-API-Key": "k"}
    async with house.client.get(house.url, headers=headers) as response:
        assert response.status == 200
    [asked] = [replica for replica in (house.one, house.two) if replica.asked]
    assert asked.headers["X-Forwarded-For"] == "203.0.113.7, 127.0.0.1"
    assert asked.headers["Host"] == "databot.example.com"
    assert asked.headers["X-API-Key"] == "k"


async def test_a_socket_passes_with_its_protocol_and_its_end(house: House) -> None:
    async with house.client.ws_connect(
        f"{house.url}/socket", protocols=["other", "databot.v1"]
    ) as socket:
        assert socket.protocol == "databot.v1"
        await socket.send_str("hello")
        assert (await socket.receive_str(timeout=10)).endswith(": hello")
        await socket.send_str("bye")
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4001
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await house.client.ws_connect(f"{house.url}/refused")
    assert refused.value.status == 401
