"""Clients that come together, leave, come back, read slowly or talk nonsense: the turns do not care."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from tests.flows.daemon import Daemon, Event, running_gateway, write_config

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "clients-0123456789abcdef"
OTHER = "others-0123456789abcdef"
WAIT_S = 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Daemon]:
    # The model's address is filled in by each test's own server: a port that stays the same.
    async with ModelServer() as first:
        PORT.append(int(first.url.rsplit(":", 1)[1].split("/")[0]))
        url = first.url
    config = write_config(
        tmp_path_factory.mktemp("clients"),
        llm={"model": "openai/test-model", "api_base": url, "timeout_s": 15},
        agents={"router": "rules"},
        auth={
            "api_keys": [
                {"key": KEY, "name": "us", "tenant": "us"},
                {"key": OTHER, "name": "them", "tenant": "them"},
            ],
            "rate_limit": {"requests": 100_000, "per_s": 1},
        },
    )
    async with running_gateway(config) as daemon:
        daemon.session.headers["X-API-Key"] = KEY
        yield daemon
        log = "\n".join(daemon.banner)
        assert "Traceback" not in log
        assert KEY not in log


PORT: list[int] = []


@pytest_asyncio.fixture(loop_scope="module")
async def model(daemon: Daemon) -> AsyncGenerator[ModelServer]:
    async with ModelServer(port=PORT[0]) as server:
        server.always(Say(text="Fine."))
        yield server


async def begin(daemon: Daemon, text: str, session_id: str) -> dict[str, Any]:
    body = {"message": text, "session_id": session_id}
    status, accepted = await daemon.post("/api/v1/messages", body)
    assert status == 202
    return accepted


async def read(daemon: Daemon, path: str, after: int | None = None) -> list[Event]:
    daemon.session.headers.pop("Last-Event-ID", None)
    if after is not None:
        daemon.session.headers["Last-Event-ID"] = str(after)
    try:
        async with asyncio.timeout(WAIT_S):
            return [event async for event in daemon.events(path)]
    finally:
        daemon.session.headers.pop("Last-Event-ID", None)


async def spoken(daemon: Daemon, session_id: str) -> list[str]:
    _, body = await daemon.get(f"/api/v1/sessions/{session_id}")
    return [m["content"] for m in body["messages"] if m["role"] in {"user", "assistant"}]


async def test_two_clients_on_one_session_are_answered_one_after_the_other(
    daemon: Daemon, model: ModelServer
) -> None:
    model.always(lambda body: Say(text=f"re: {body['messages'][-1]['content']}", latency_s=0.05))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(daemon.ask(f"m{n}", "together")) for n in range(8)]
    assert [task.result()["reply"] for task in tasks] == [f"re: m{n}" for n in range(8)]
    texts = await spoken(daemon, "together")
    assert texts[1::2] == [f"re: {text}" for text in texts[::2]], "each answer follows its question"
    assert sorted(texts[::2]) == [f"m{n}" for n in range(8)]
    for number, request in enumerate(model.requests):
        earlier = [m for m in request.body["messages"] if m["role"] == "assistant"]
        assert len(earlier) == number, "each turn has seen all the turns before it"


async def test_the_messages_of_one_client_are_answered_in_their_order(
    daemon: Daemon, model: ModelServer
) -> None:
    for number in range(10):
        await begin(daemon, f"m{number}", "ordered")
    last = await begin(daemon, "last", "ordered")
    await read(daemon, last["events_url"])
    assert (await spoken(daemon, "ordered"))[::2] == [*(f"m{n}" for n in range(10)), "last"]


async def test_too_many_waiting_messages_are_refused_before_they_are_kept(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(Say(text="held", hold_after=0))
    answers = [
        await daemon.post("/api/v1/messages", {"message": f"m{n}", "session_id": "flood"})
        for n in range(40)
    ]
    kept = [body["turn_id"] for status, body in answers if status == 202]
    refused = [body for status, body in answers if status == 429]
    assert len(kept) + len(refused) == 40
    assert refused
    assert {body["error"]["type"] for body in refused} == {"busy"}
    assert (await daemon.ask("elsewhere", "free"))["reply"] == "Fine.", "other sessions go on"
    model.release()
    await read(daemon, f"/api/v1/turns/{kept[-1]}/events")
    assert len((await spoken(daemon, "flood"))[::2]) == len(kept)


async def test_a_reader_that_leaves_and_comes_back_misses_nothing(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(Say(pieces=tuple(f"w{n} " for n in range(30)), hold_after=15, drip_s=0.01))
    accepted = await begin(daemon, "@sql tell", "returning")
    seen: list[Event] = []
    async for event in daemon.events(accepted["events_url"]):
        seen.append(event)
        if len(seen) == 8:
            break
    model.release()
    rest = await read(daemon, accepted["events_url"], after=int(seen[-1].id))
    numbers = [int(event.id) for event in seen + rest]
    assert numbers == list(range(1, len(numbers) + 1))
    text = "".join(e.data["text"] for e in seen + rest if e.name == "text_delta")
    assert text == rest[-1].data["reply"] == "".join(f"w{n} " for n in range(30))
    everything = await read(daemon, accepted["events_url"])
    assert [int(event.id) for event in everything] == numbers
    for beyond in (numbers[-1], 10_000):
        [end] = await read(daemon, accepted["events_url"], after=beyond)
        assert (end.name, end.id) == ("turn_finished", ""), "only how it ended, once more"


async def test_a_client_that_hangs_up_does_not_stop_its_turn(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(Say(text="Still here.", hold_after=0))
    task = asyncio.ensure_future(daemon.ask("hello", "left"))
    async with asyncio.timeout(WAIT_S):
        await model.until(active=1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    model.release()
    await daemon.ask("and now?", "left")
    assert (await spoken(daemon, "left"))[:2] == ["hello", "Still here."]


async def test_fifty_readers_of_one_turn_see_the_same(daemon: Daemon, model: ModelServer) -> None:
    model.script(Say(pieces=tuple(f"w{n} " for n in range(100)), hold_after=50))
    accepted = await begin(daemon, "@sql tell", "crowd")
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read(daemon, accepted["events_url"])) for _ in range(50)]
        async with asyncio.timeout(WAIT_S):
            await model.until(active=1)
        model.release()
    told = [[(e.id, e.name) for e in reader.result()] for reader in readers]
    assert all(each == told[0] for each in told)
    assert told[0][-1][1] == "turn_finished"


async def test_a_reader_that_reads_nothing_holds_up_nobody(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(Say(pieces=tuple("x" * 2_000 for _ in range(1_500))))
    accepted = await begin(daemon, "@sql tell", "slow")
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        idle.connect((host, int(port)))
        request = (
            f"GET {accepted['events_url']} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {KEY}\r\n\r\n"
        )
        idle.sendall(request.encode())
        async with daemon.session.get(daemon.url + accepted["events_url"]) as response:
            told = await response.read()
        assert told.count(b"event: turn_finished") == 1
        assert told.count(b"x") > 3_000_000
        assert (await daemon.ask("hi", "elsewhere"))["reply"] == "Fine."


# WebSocket


def socket_to(daemon: Daemon, **options: Any) -> Any:  # noqa: ANN401 - aiohttp's context manager
    return daemon.session.ws_connect(daemon.url + "/api/v1/ws", **options)


async def receive(ws: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        return orjson.loads((await ws.receive()).data)


async def until(ws: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while (frame := await receive(ws))["type"] != kind:
        pass
    return frame


async def test_a_socket_without_a_key_must_bring_one_first(
    daemon: Daemon, model: ModelServer
) -> None:
    url = daemon.url + "/api/v1/ws"
    async with aiohttp.ClientSession() as stranger:
        for first in ('{"type": "auth", "token": "wrong"}', '{"type": "ping"}', "nonsense", "[]"):
            async with stranger.ws_connect(url) as ws:
                await ws.send_str(first)
                assert (await receive(ws))["error"]["type"] == "unauthorized"
                async with asyncio.timeout(WAIT_S):
                    assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
                assert ws.close_code == 1008
        async with stranger.ws_connect(url) as ws:
            await ws.send_json({"type": "auth", "token": KEY})
            assert (await receive(ws))["type"] == "authenticated"
            await ws.send_json({"type": "message", "id": "1", "message": "hi"})
            assert (await until(ws, "turn_finished"))["data"]["reply"] == "Fine."


NONSENSE = [
    "nonsense", "[]", "null", "{}", '{"type": 5}', '{"type": "nothing"}', '{"type": "message"}',
    '{"type": "message", "id": 1, "message": "x"}', '{"type": "message", "id": "", "message": "x"}',
    '{"type": "message", "id": "a", "message": ""}', '{"type": "message", "id": "a", "message": "\\u0000"}',
    '{"type": "message", "id": "a", "message": "x", "bot_id": "nobody"}',
    '{"type": "cancel"}', '{"type": "cancel", "turn_id": "none"}', "[" * 50_000, b"\x00\xff",
]  # fmt: skip


async def test_nonsense_on_a_socket_is_refused_and_the_socket_goes_on(
    daemon: Daemon, model: ModelServer
) -> None:
    async with socket_to(daemon) as ws:
        for frame in NONSENSE:
            await (ws.send_bytes(frame) if isinstance(frame, bytes) else ws.send_str(frame))
            answer = await receive(ws)
            assert answer["type"] == "error", frame
            assert answer["error"]["type"] in {"invalid_request", "not_found"}
        await ws.send_json({"type": "message", "id": "1", "message": "hi"})
        assert (await until(ws, "turn_finished"))["data"]["reply"] == "Fine."


async def test_a_frame_over_the_limit_ends_the_socket_and_nothing_else(
    daemon: Daemon, model: ModelServer
) -> None:
    async with socket_to(daemon) as ws:
        with suppress(ConnectionError):  # it may hang up before it has read it all
            await ws.send_str("x" * 30_000_000)
        async with asyncio.timeout(WAIT_S):
            frame = await ws.receive()
        assert frame.type in {
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.ERROR,
            aiohttp.WSMsgType.CLOSED,
        }
    assert (await daemon.ask("hi", "after-frame"))["reply"] == "Fine."


async def test_a_turn_is_cancelled_over_the_socket(daemon: Daemon, model: ModelServer) -> None:
    model.script(Say(text="never", hold_after=0))
    async with socket_to(daemon) as ws:
        await ws.send_json({"type": "message", "id": "1", "message": "hi", "session_id": "stop"})
        accepted = await until(ws, "accepted")
        async with asyncio.timeout(WAIT_S):
            await model.until(active=1)
        await ws.send_json({"type": "cancel", "turn_id": accepted["turn_id"]})
        failed = await until(ws, "turn_failed")
        assert failed["data"]["error"]["type"] == "cancelled"
        async with asyncio.timeout(WAIT_S):
            await model.until(abandoned=1)


async def test_the_same_client_id_is_the_same_message_also_on_a_later_socket(
    daemon: Daemon, model: ModelServer
) -> None:
    message = {"type": "message", "id": "same", "message": "once", "session_id": "dup"}
    turns: list[str] = []
    for _ in range(2):
        async with socket_to(daemon) as ws:
            await ws.send_json(message)
            accepted = await until(ws, "accepted")
            turns.append(accepted["turn_id"])
            assert (await until(ws, "turn_finished"))["data"]["reply"] == "Fine."
    assert turns[0] == turns[1]
    assert len(model.requests) == 1
    assert await spoken(daemon, "dup") == ["once", "Fine."]


async def test_another_tenant_cannot_stop_a_turn_over_its_socket(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(Say(text="ours", hold_after=0))
    accepted = await begin(daemon, "hi", "ours")
    async with socket_to(daemon, headers={"X-API-Key": OTHER}) as ws:
        await ws.send_json({"type": "cancel", "turn_id": accepted["turn_id"]})
        answer = await receive(ws)
        assert answer["error"]["type"] == "not_found"
    model.release()
    assert (await read(daemon, accepted["events_url"]))[-1].name == "turn_finished"


async def test_a_socket_that_dies_does_not_stop_its_turn(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(Say(text="On my own.", hold_after=0))
    async with socket_to(daemon) as ws:
        await ws.send_json({"type": "message", "id": "1", "message": "hi", "session_id": "dead"})
        accepted = await until(ws, "accepted")
        async with asyncio.timeout(WAIT_S):
            await model.until(active=1)
        transport = ws.get_extra_info("socket")
        transport.shutdown(socket.SHUT_RDWR)
    model.release()
    events = await read(daemon, f"/api/v1/turns/{accepted['turn_id']}/events")
    assert events[-1].data["reply"] == "On my own."
