"""One WebSocket: messages in, the same events out, many turns at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from databot.gateway.options import GatewayOptions, RateLimitOptions
from databot.types.events import StreamEvent, TextDelta, TurnStarted
from databot.types.messages import InboundMessage
from tests.gateway.conftest import BOUND_S, KEYS, OTHER_SECRET, SECRET, Json, Serve, Served, bearer
from tests.gateway.house import Breaking, House, Reader, Short


class Client:
    """A WebSocket client that waits within bounds."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:  # noqa: ANN401 - JSON
        await self.socket.send_str(orjson.dumps(frame).decode())

    async def receive(self) -> Json:
        frame = await self.socket.receive(timeout=BOUND_S)
        assert frame.type is aiohttp.WSMsgType.TEXT, frame
        return orjson.loads(frame.data)

    async def until(self, kind: str) -> list[Json]:
        found = [await self.receive()]
        while found[-1]["type"] != kind:
            found.append(await self.receive())
        return found

    async def closed(self) -> int | None:
        frame = await self.socket.receive(timeout=BOUND_S)
        assert frame.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, frame
        return self.socket.close_code


@asynccontextmanager
async def talking(served: Served, **rest: Any) -> AsyncGenerator[Client]:  # noqa: ANN401 - aiohttp's own
    async with served.http.ws_connect(served.url + "/api/v1/ws", **rest) as socket:
        yield Client(socket)


async def test_a_message_is_accepted_and_answered_by_numbered_events(served: Served) -> None:
    async with talking(served) as client:
        await client.send(type="message", id="m1", message="hello", session_id="demo")
        frames = await client.until("turn_finished")
    accepted, *events = frames
    assert (accepted["type"], accepted["id"]) == ("accepted", "m1")
    assert (accepted["session_id"], accepted["duplicate"]) == ("demo", False)
    assert [event["number"] for event in events] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {event["turn_id"] for event in events} == {accepted["turn_id"]}
    assert events[-1]["data"]["reply"] == "**You said** hello"


async def test_the_same_id_is_the_same_message_also_on_a_later_connection(served: Served) -> None:
    turns: list[str] = []
    for _ in range(2):
        async with talking(served) as client:
            await client.send(type="message", id="m1", message="hello", session_id="demo")
            turns.append((await client.until("turn_finished"))[0]["turn_id"])
    assert len(set(turns)) == 1
    assert len(served.house.records) == 1


async def test_ids_of_different_conversations_do_not_meet(served: Served) -> None:
    for text, session in (("a", "s1"), ("b", "s2"), ("c", None), ("d", None)):
        async with talking(served) as client:
            await client.send(type="message", id="1", message=text, session_id=session)
            await client.until("turn_finished")
    assert len(served.house.records) == 4


async def test_one_connection_follows_many_turns_side_by_side(served: Served) -> None:
    async with talking(served) as client:
        await client.send(type="message", id="slow", message="hold on", session_id="a")
        slow = (await client.until("tool_started"))[0]["turn_id"]
        await client.send(type="message", id="quick", message="hello", session_id="b")
        await client.until("turn_finished")
        await served.house.release(slow)
        assert (await client.until("turn_finished"))[-1]["turn_id"] == slow


@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        (Breaking, "hello", "internal_error"),
        (Short, "fail model_error", "model_error"),
        (Short, "hold on", "internal_error"),
    ],
)
async def test_a_followed_turn_whose_stream_breaks_off_ends_once_and_the_next_works(
    served: Served, reader: type[Reader], text: str, expected: str
) -> None:
    served.house.reader = reader
    async with talking(served) as client:
        await client.send(type="message", id="1", message=text)
        frames = await client.until("turn_failed")
        assert [frame["type"] for frame in frames] == ["accepted", "turn_started", "turn_failed"]
        assert frames[-1]["data"]["error"]["type"] == expected
        assert "secret inside" not in str(frames)
        served.house.reader = Reader
        await client.send(type="message", id="2", message="hello")
        assert (await client.receive())["id"] == "2"
        await client.until("turn_finished")


async def test_a_turn_is_cancelled_and_still_ends_once(served: Served) -> None:
    async with talking(served) as client:
        await client.send(type="message", id="1", message="hold on")
        turn_id = (await client.until("tool_started"))[0]["turn_id"]
        await client.send(type="cancel", turn_id=turn_id)
        frames = await client.until("turn_failed")
        await client.send(type="ping")
        frames += await client.until("pong")
    assert [frame["type"] for frame in frames].count("turn_failed") == 1
    assert {"type": "cancelling", "turn_id": turn_id} in frames


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ("{", "invalid_request"),
        ("[]", "invalid_request"),
        ("", "invalid_request"),
        ('{"type": "dance"}', "invalid_request"),
        ('{"message": "no type"}', "invalid_request"),
        ('{"type": "message", "message": "no id"}', "invalid_request"),
        ('{"type": "message", "id": "1", "message": "  "}', "invalid_request"),
        ('{"type": "message", "id": "1", "message": "x", "bot_id": "nobody"}', "not_found"),
        ('{"type": "cancel", "turn_id": "nope"}', "not_found"),
        ('{"type": "cancel"}', "invalid_request"),
    ],
)
async def test_a_wrong_frame_is_refused_and_the_next_one_works(
    served: Served, frame: str, kind: str
) -> None:
    async with talking(served) as client:
        await client.socket.send_str(frame)
        refused = await client.receive()
        assert (refused["type"], refused["error"]["type"]) == ("error", kind)
        await client.send(type="message", id="next", message="hello")
        await client.until("turn_finished")


async def test_a_refusal_names_the_message_it_is_about(served: Served) -> None:
    async with talking(served) as client:
        await client.send(type="message", id="m7", message="")
        assert (await client.receive())["id"] == "m7"


async def test_binary_frames_are_refused(served: Served) -> None:
    async with talking(served) as client:
        await client.socket.send_bytes(b"\x00\xff")
        assert (await client.receive())["error"]["type"] == "invalid_request"


async def test_an_unforeseen_fault_is_told_without_its_words(served: Served) -> None:
    served.house.refusal = RuntimeError("password=hunter2")
    async with talking(served) as client:
        await client.send(type="message", id="1", message="x")
        refused = await client.receive()
    assert refused["error"]["type"] == "internal_error"
    assert "hunter2" not in str(refused)


async def test_a_frame_over_the_limit_closes_the_connection(serve: Serve) -> None:
    served = await serve(max_frame_bytes=1000)
    async with talking(served) as client:
        await client.socket.send_str("x" * 2000)
        assert await client.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_more_turns_than_one_connection_may_follow_are_refused(served: Served) -> None:
    async with talking(served) as client:
        for n in range(GatewayOptions().max_followed_turns):
            await client.send(type="message", id=f"{n}", message="hold on")
        await client.send(type="message", id="more", message="hold on")
        assert (await client.until("error"))[-1]["error"]["type"] == "busy"
        await served.house.release("turn_1")
        await client.until("turn_finished")
        await client.send(type="message", id="again", message="hello")
        await client.until("turn_finished")


async def test_messages_count_against_the_callers_share(serve: Serve) -> None:
    served = await serve(rate_limit=RateLimitOptions(requests=2, per_s=3600))
    async with talking(served) as client:
        await client.send(type="message", id="1", message="a")
        await client.until("turn_finished")
        await client.send(type="message", id="2", message="b")
        assert (await client.receive())["error"]["type"] == "rate_limited"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"]
)
@pytest.mark.parametrize("headers", [{}, bearer()])
async def test_a_page_of_another_origin_cannot_connect(
    serve: Serve, origin: str, headers: dict[str, str]
) -> None:
    served = await serve(api_keys=KEYS if headers else ())
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with talking(served, headers=headers | {"Origin": origin}):
            raise AssertionError
    assert refused.value.status == 403


async def test_our_own_page_and_allowed_origins_connect(serve: Serve) -> None:
    served = await serve(cors_origins=("https://app.example",))
    for origin in (served.url, "https://app.example"):
        async with talking(served, headers={"Origin": origin}) as client:
            await client.send(type="ping")
            assert await client.receive() == {"type": "pong"}


async def test_the_key_may_come_in_a_header_a_protocol_or_the_first_frame(guarded: Served) -> None:
    async with talking(guarded, headers=bearer()) as client:
        await client.send(type="ping")
        assert (await client.receive())["type"] == "pong"
    for offered, chosen in (
        (("databot.v1", f"databot.bearer.{SECRET}"), "databot.v1"),
        ((f"databot.bearer.{SECRET}",), f"databot.bearer.{SECRET}"),
    ):
        async with talking(guarded, protocols=offered) as client:
            assert client.socket.protocol == chosen
            await client.send(type="message", id="1", message="x")
            await client.until("turn_finished")
    async with talking(guarded) as client:
        await client.send(type="auth", token=SECRET)
        assert (await client.receive())["type"] == "authenticated"
        await client.send(type="message", id="1", message="x")
        await client.until("turn_finished")
    assert all(r.message.sender_id == "alice" for r in guarded.house.records.values())


async def test_a_key_sent_later_is_checked_like_the_first(guarded: Served) -> None:
    async with talking(guarded, headers=bearer()) as client:
        await client.send(type="auth", token=SECRET)
        assert await client.receive() == {"type": "authenticated"}
        for token in ("wrong", OTHER_SECRET, "x" * 9000):
            await client.send(type="auth", token=token)
            assert (await client.receive())["error"]["type"] == "unauthorized"
        await client.send(type="auth")
        assert (await client.receive())["error"]["type"] == "invalid_request"
        await client.send(type="message", id="1", message="x")
        await client.until("turn_finished")
    (record,) = guarded.house.records.values()
    assert record.message.sender_id == "alice"


async def test_guessing_keys_on_an_open_connection_spends_the_callers_share(serve: Serve) -> None:
    limit = RateLimitOptions(requests=3, per_s=3600)
    served = await serve(api_keys=KEYS, rate_limit=limit)
    async with talking(served, headers=bearer()) as client:
        for kind in ("unauthorized", "unauthorized", "rate_limited"):
            await client.send(type="auth", token="a guess")
            assert (await client.receive())["error"]["type"] == kind


async def test_where_there_are_no_keys_a_client_may_send_one(served: Served) -> None:
    async with talking(served) as client:
        await client.send(type="auth", token="whatever")
        assert await client.receive() == {"type": "authenticated"}


@pytest.mark.parametrize(
    "frame",
    [
        '{"type": "auth", "token": "wrong"}',
        '{"type": "auth"}',
        '{"type": "message", "id": "1", "message": "x"}',
        "{",
        '{"type": "auth", "token": "' + "x" * 9000 + '"}',
    ],
)
async def test_the_first_frame_without_a_valid_key_ends_the_connection(
    guarded: Served, frame: str
) -> None:
    async with talking(guarded) as client:
        await client.socket.send_str(frame)
        assert (await client.receive())["error"]["type"] == "unauthorized"
        assert await client.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert guarded.house.records == {}


async def test_a_wrong_key_in_the_protocol_is_refused_at_the_handshake(guarded: Served) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with talking(guarded, protocols=("databot.bearer.wrong",)):
            raise AssertionError
    assert refused.value.status == 401


async def test_a_client_that_never_authenticates_is_let_go(serve: Serve) -> None:
    served = await serve(api_keys=KEYS, auth_timeout_s=0.01)
    async with talking(served) as client:
        assert (await client.receive())["error"]["type"] == "unauthorized"
        assert await client.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_client_that_leaves_stops_nothing_and_is_forgotten(served: Served) -> None:
    async with talking(served) as client:
        await client.send(type="message", id="1", message="hold on")
        turn_id = (await client.until("tool_started"))[0]["turn_id"]
        assert served.gateway.metrics.open_sockets == 1
    async with asyncio.timeout(BOUND_S):
        await served.house.nobody_reads.wait()
    await served.house.release(turn_id)
    assert served.house.records[turn_id].state == "done"


async def test_a_client_that_stops_reading_is_let_go(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databot.gateway.writing.WRITE_TIMEOUT_S", 0.05)

    def flood(turn_id: str, message: InboundMessage) -> list[StreamEvent | None]:
        started = TurnStarted(turn_id=turn_id, session_id=message.session_id)
        return [started, *[TextDelta(turn_id=turn_id, text="x" * 100_000)] * 400, None]

    served = await serve(House(flood))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rsplit(":", 1)[1]))
    try:
        writer.write(
            b"GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        frame = b'{"type": "message", "id": "1", "message": "x"}'
        writer.write(bytes([0x81, 0x80 | len(frame), 0, 0, 0, 0]) + frame)
        await reader.readuntil(b"turn_started")
        async with asyncio.timeout(10):
            await served.house.nobody_reads.wait()
    finally:
        writer.transport.abort()
