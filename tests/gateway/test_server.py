"""Starting and stopping: where it listens, and how it says goodbye."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import aiohttp
import pytest

from databot.gateway.app import make_app
from databot.gateway.base import ComponentStatus
from databot.gateway.context import GATEWAY
from databot.gateway.options import GatewayOptions
from databot.gateway.server import listening, serve
from databot.types.errors import ConfigError
from tests.gateway.conftest import BOUND_S, Json, read_events
from tests.gateway.house import House
from tests.gateway.test_ratelimit import Hands

CROWD = 400


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until it is so; what is waited for happens in this very loop."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for, on purpose
        await asyncio.sleep(0)


async def read_farewell(socket: aiohttp.ClientWebSocketResponse) -> tuple[Json, int]:
    goodbye = await socket.receive_json()
    closing = await socket.receive()
    assert closing.type is aiohttp.WSMsgType.CLOSE
    return goodbye, closing.data


async def test_serve_says_when_and_where_it_can_be_called_and_stops_when_told() -> None:
    stop = asyncio.Event()
    urls: list[str] = []
    drained: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        stop.set()

    async def drain() -> None:
        drained.append("the turns")

    app = make_app(House().services(), GatewayOptions())
    async with asyncio.timeout(BOUND_S):
        await serve(app, "127.0.0.1", 0, ready, stop=stop, drain=drain)
    assert drained == ["the turns"]
    assert urls[0].startswith("http://127.0.0.1:")


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    app = make_app(House().services(), GatewayOptions())
    async with listening(app, "127.0.0.1", 0) as url:
        port = int(url.rsplit(":", 1)[1])
        second = make_app(House().services(), GatewayOptions())
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with listening(second, "127.0.0.1", port):
                raise AssertionError


async def test_stopping_waits_for_a_running_turn_and_refuses_new_ones() -> None:
    house = House()
    app = make_app(house.services(), GatewayOptions())
    async with (
        asyncio.timeout(BOUND_S),
        aiohttp.ClientSession() as http,
        asyncio.TaskGroup() as group,
    ):
        stop, urls = asyncio.Event(), asyncio.Queue[str]()
        turns_ended = asyncio.Event()

        async def drain() -> None:
            await turns_ended.wait()

        server = group.create_task(
            serve(app, "127.0.0.1", 0, urls.put_nowait, stop=stop, drain=drain)
        )
        url = await urls.get()
        running = await http.post(url + "/api/v1/chat", json={"message": "hold on", "stream": True})
        await running.content.readuntil(b"tool_started")
        async with http.get(url + "/healthz"):
            pass  # a connection that stays open
        stop.set()
        lifetime = app[GATEWAY].lifetime
        await until(lambda: lifetime.draining)
        late = await http.post(url + "/api/v1/chat", json={"message": "late"})
        assert late.status == 503
        assert (await late.json())["error"]["type"] == "shutting_down"
        assert late.headers["Retry-After"] == "5"
        assert not server.done()
        assert (await http.get(url + "/readyz")).status == 503
        await house.release("turn_1")
        turns_ended.set()
        events = read_events(b"\n\n" + await running.read())
        assert events[-1][1] == "turn_finished"
        running.close()
    assert len(house.records) == 1


async def test_what_still_runs_when_the_drain_is_over_is_told_so_on_every_wire() -> None:
    house = House()
    app = make_app(house.services(), GatewayOptions())
    async with (
        asyncio.timeout(BOUND_S),
        aiohttp.ClientSession() as http,
        asyncio.TaskGroup() as group,
    ):
        async with listening(app, "127.0.0.1", 0, drain_s=0.01) as url:
            stream = await http.post(
                url + "/api/v1/chat", json={"message": "hold 1", "stream": True}
            )
            await stream.content.readuntil(b"tool_started")
            waiting = group.create_task(http.post(url + "/api/v1/chat", json={"message": "hold 2"}))
            socket = await http.ws_connect(url + "/api/v1/ws")
            await socket.send_str('{"type": "message", "id": "1", "message": "hold 3"}')
            while "tool_started" not in await socket.receive_str():
                pass
            await until(lambda: len(house.records) == 3)
            farewell = group.create_task(read_farewell(socket))
        ((number, name, data),) = read_events(b"x: y\n\n" + await stream.read())
        assert (number, name) == (None, "turn_failed")
        assert data["error"]["type"] == "shutting_down"
        answer = await waiting
        assert answer.status == 503
        assert (await answer.json())["error"]["detail"]["turn_id"] == "turn_2"
        goodbye, code = await farewell
        assert goodbye["data"]["error"]["type"] == "shutting_down"
        assert code == aiohttp.WSCloseCode.GOING_AWAY
        stream.close()
        answer.close()
        await socket.close()
    assert {record.state for record in house.records.values()} == {"running"}


async def test_readiness_is_asked_of_the_components_at_most_once_a_moment() -> None:
    class Counting(House):
        asked = 0

        async def components(self) -> Sequence[ComponentStatus]:
            self.asked += 1
            return self.parts

    house, clock = Counting(), Hands()
    app = make_app(house.services(), GatewayOptions(), clock=clock)
    async with listening(app, "127.0.0.1", 0) as url, aiohttp.ClientSession() as http:

        async def status() -> int:
            async with http.get(url + "/readyz") as response:
                return response.status

        assert await asyncio.gather(*(status() for _ in range(10))) == [200] * 10
        assert house.asked == 1
        house.parts = [ComponentStatus(name="storage", ready=False)]
        clock.at += 5
        assert await status() == 503
        assert house.asked == 2


async def test_a_stranger_that_speaks_no_http_is_turned_away_without_a_stack_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app(House().services(), GatewayOptions())
    async with listening(app, "127.0.0.1", 0) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        async with asyncio.timeout(BOUND_S):
            assert (await reader.readline()).startswith(b"HTTP/1.0 400")
        writer.close()
        await writer.wait_closed()
    assert caplog.records == []


async def test_many_clients_at_the_same_instant_all_get_through() -> None:
    """They connect while this thread, and so the gateway, does nothing else: the system keeps them until it looks."""
    app = make_app(House().services(), GatewayOptions())
    async with listening(app, "127.0.0.1", 0) as url:
        port = int(url.rsplit(":", 1)[1])
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=0.5))
                for _ in range(CROWD)
            ]
            loop = asyncio.get_running_loop()
            for client in clients:
                client.setblocking(False)
                await loop.sock_sendall(client, b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(BOUND_S):
                answers = [await loop.sock_recv(client, 15) for client in clients]
    assert answers == [b"HTTP/1.0 200 OK"] * CROWD
