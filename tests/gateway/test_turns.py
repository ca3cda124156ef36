"""Messages, answers, streams: the main road through HTTP."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from databot.storage.base import Accepted
from databot.types.errors import Busy, StorageUnavailable
from databot.types.events import StreamEvent, TextDelta, TurnStarted
from databot.types.messages import InboundMessage
from tests.gateway.conftest import OTHER_SECRET, Serve, Served, bearer, read_events
from tests.gateway.house import Breaking, House, Short


async def test_a_question_is_answered_with_everything_that_supports_the_answer(
    served: Served,
) -> None:
    answer = await served.chat("how many?", session_id="demo")
    assert answer.status == 200
    assert answer.json["reply"] == "**You said** how many?"
    assert answer.json["session_id"] == "demo"
    assert answer.json["evidence"][0]["statement"] == "select 1"
    assert answer.json["tools"] == [
        {"name": "sql", "args": {"sql": "select 1"}, "ok": True, "ms": 1.5}
    ]
    assert answer.json["usage"] == {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.001}
    assert answer.headers["X-Turn-ID"] == answer.json["turn_id"]


async def test_a_message_without_a_session_begins_a_new_conversation(served: Served) -> None:
    first, second = await served.chat("one"), await served.chat("two")
    assert first.json["session_id"].startswith("s_")
    assert first.json["session_id"] != second.json["session_id"]


async def test_the_engine_is_told_who_asks_and_where(guarded: Served) -> None:
    await guarded.call(
        "POST",
        "/api/v1/chat",
        json={
            "message": "hi",
            "bot_id": "default",
            "agent": "sql",
            "session_id": "x",
            "attachments": [{"name": "a.csv", "media_type": "text/csv", "data": "YSxiCg=="}],
        },
        headers=bearer(),
    )
    (record,) = guarded.house.records.values()
    message = record.message
    assert (message.channel, message.sender_id, message.tenant_id) == ("http", "alice", "default")
    assert (message.chat_id, message.agent) == ("x", "sql")
    assert message.attachments[0].data == b"a,b\n"


async def test_a_streamed_chat_is_numbered_events_with_one_terminal_at_the_end(
    served: Served,
) -> None:
    answer = await served.chat("hello", stream=True)
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = read_events(answer.body)
    assert [number for number, _, _ in events] == [1, 2, 3, 4, 5, 6, 7, 8]
    names = [name for _, name, _ in events]
    assert names[0] == "turn_started"
    assert names[-2:] == ["message", "turn_finished"]
    assert (
        "".join(data["text"] for _, name, data in events if name == "text_delta")
        == (events[-1][2]["reply"])
    )
    assert "html" not in events[-1][2]


async def test_a_page_gets_the_reply_as_safe_html_too(served: Served) -> None:
    sent = await served.send("<script>alert(1)</script>")
    answer = await served.call("GET", sent["events_url"] + "?html=1")
    message = next(data for _, name, data in read_events(answer.body) if name == "message")
    assert message["html"].startswith("<p><strong>You said</strong> &lt;script&gt;")


async def test_a_reader_that_lost_the_line_goes_on_after_the_last_event_it_has(
    served: Served,
) -> None:
    sent = await served.send("hello")
    whole = read_events((await served.call("GET", sent["events_url"])).body)
    answer = await served.call("GET", sent["events_url"], headers={"Last-Event-ID": "5"})
    assert read_events(answer.body) == whole[5:]
    by_query = await served.call("GET", sent["events_url"] + "?after=5")
    assert by_query.body == answer.body


async def test_a_reader_that_has_everything_is_told_the_end_once_more(served: Served) -> None:
    sent = await served.send("hello")
    answer = await served.call("GET", sent["events_url"], headers={"Last-Event-ID": "8"})
    ((number, name, data),) = read_events(answer.body)
    assert (number, name, data["reply"]) == (None, "turn_finished", "**You said** hello")


@pytest.mark.parametrize(
    "value", ["x", "", "-1", "1.5", "9007199254740992", "²", "0" * 12 + "9" * 5000]
)
async def test_a_last_event_id_that_is_no_event_number_is_refused(
    served: Served, value: str
) -> None:
    sent = await served.send("hello")
    answer = await served.call("GET", sent["events_url"], params={"after": value})
    assert (answer.status, answer.error["type"]) == (400, "invalid_request")
    if value:
        again = await served.call("GET", sent["events_url"], headers={"Last-Event-ID": value})
        assert again.status == 400


async def test_a_turn_in_progress_shows_its_state_and_then_its_reply(served: Served) -> None:
    sent = await served.send("hold on", session_id="s")
    path = f"/api/v1/turns/{sent['turn_id']}"
    running = (await served.call("GET", path)).json
    assert (running["state"], running["session_id"]) == ("running", "s")
    assert "reply" not in running
    await served.house.release(sent["turn_id"])
    done = (await served.call("GET", path)).json
    assert (done["state"], done["reply"]) == ("done", "**You said** hold on")


async def test_the_same_idempotency_key_is_the_same_turn_and_session(served: Served) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"message": "once"}
    first = await served.call("POST", "/api/v1/messages", json=body, headers=headers)
    second = await served.call("POST", "/api/v1/messages", json=body, headers=headers)
    assert (first.json["duplicate"], second.json["duplicate"]) == (False, True)
    assert second.json | {"duplicate": False} == first.json
    assert len(served.house.records) == 1


async def test_an_idempotency_key_used_for_another_message_is_a_conflict(served: Served) -> None:
    headers = {"Idempotency-Key": "k1"}
    await served.call("POST", "/api/v1/messages", json={"message": "a"}, headers=headers)
    answer = await served.call("POST", "/api/v1/messages", json={"message": "b"}, headers=headers)
    assert (answer.status, answer.error["type"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"message": "all orders"}, {"message": "delete all orders"}),
        ({"message": "all orders"}, {"message": "all orders "}),
        ({"message": "all orders"}, {"message": "@sql all orders"}),
        ({"message": "a", "session_id": "s"}, {"message": "a", "session_id": "t"}),
        ({"message": "a"}, {"message": "a", "bot_id": "acme-bot"}),
        ({"message": "a"}, {"message": "a", "agent": "sql"}),
        ({"message": "a"}, {"message": "a", "attachments": [{"name": "b.csv", "data": "YQ=="}]}),
    ],
)
async def test_a_request_that_differs_in_anything_is_another_one(
    guarded: Served, first: dict[str, object], second: dict[str, object]
) -> None:
    headers = bearer(OTHER_SECRET) | {"Idempotency-Key": "k1"}
    for body, status in ((first, 202), (first, 202), (second, 409)):
        answer = await guarded.call("POST", "/api/v1/messages", json=body, headers=headers)
        assert answer.status == status, answer.body
    assert len(guarded.house.records) == 1


async def test_a_forced_agent_in_the_text_does_not_make_a_repeated_message_another_one(
    serve: Serve,
) -> None:
    class Forcing(House):
        async def ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
            content = message.content.strip()[len("@sql ") :].strip()
            return await super().ingest(turn_id, replace(message, content=content, agent="sql"))

    served = await serve(Forcing())
    for text, status in (
        ("@sql how many?", 202),
        (" @SQL\nhow many? ", 202),
        ("@sql how many", 409),
        ("how many?", 409),
    ):
        headers = {"Idempotency-Key": "k"}
        body = {"message": text}
        answer = await served.call("POST", "/api/v1/messages", json=body, headers=headers)
        assert answer.status == status, text
    assert len(served.house.records) == 1


async def test_a_cancelled_turn_ends_its_stream_with_one_failure(served: Served) -> None:
    sent = await served.send("hold it")
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(served.call("GET", sent["events_url"]))
        answer = await served.call("POST", f"/api/v1/turns/{sent['turn_id']}/cancel")
    assert (answer.status, answer.json["state"]) == (202, "cancelled")
    events = read_events(reader.result().body)
    assert [name for _, name, _ in events].count("turn_failed") == 1
    assert events[-1][2]["error"]["type"] == "cancelled"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("model_timeout", 504),
        ("turn_timeout", 504),
        ("model_error", 502),
        ("model_unavailable", 503),
        ("storage_unavailable", 503),
        ("cancelled", 409),
        ("interrupted", 503),
        ("never_heard_of", 500),
    ],
)
async def test_a_failed_turn_has_the_status_of_its_error(
    served: Served, error: str, status: int
) -> None:
    answer = await served.chat(f"fail {error}", session_id="s")
    assert answer.status == status
    assert answer.error["type"] == error
    assert answer.error["message"] == "it went wrong"
    assert answer.error["detail"] == {"turn_id": "turn_1", "session_id": "s"}


@pytest.mark.parametrize(
    ("refusal", "status", "kind"),
    [
        (Busy("too many are waiting", retry_after_s=3), 429, "busy"),
        (StorageUnavailable("the disk is full"), 503, "storage_unavailable"),
        (RuntimeError("password=hunter2"), 500, "internal_error"),
    ],
)
async def test_a_refusal_of_the_engine_is_told_as_what_it_is(
    served: Served, refusal: Exception, status: int, kind: str
) -> None:
    served.house.refusal = refusal
    for body in ({"message": "x"}, {"message": "x", "stream": True}):
        answer = await served.call("POST", "/api/v1/chat", json=body)
        assert (answer.status, answer.error["type"]) == (status, kind)
        assert b"hunter2" not in answer.body
    if status == 429:
        assert answer.headers["Retry-After"] == "3"


async def test_a_reader_that_leaves_does_not_stop_the_turn(served: Served) -> None:
    sent = await served.send("hold me")
    async with served.http.get(served.url + sent["events_url"]) as response:
        await response.content.readuntil(b"tool_started")
    await served.house.release(sent["turn_id"])
    answer = await served.call("GET", f"/api/v1/turns/{sent['turn_id']}")
    assert answer.json["state"] == "done"


async def test_a_silent_stream_says_that_it_is_alive(serve: Serve) -> None:
    served = await serve(ping_s=0.01)
    sent = await served.send("hold on")
    async with (
        asyncio.timeout(10),
        served.http.get(served.url + sent["events_url"]) as response,
    ):
        await response.content.readuntil(b"\n\n: ping\n\n")
        await served.house.release(sent["turn_id"])
        rest = await response.read()
    assert b"event: turn_finished" in rest


async def test_a_stream_that_breaks_off_still_ends_in_one_terminal_event(serve: Serve) -> None:
    served = await serve()
    served.house.reader = Breaking
    answer = await served.chat("hello", stream=True)
    events = read_events(answer.body)
    assert [name for _, name, _ in events] == ["turn_started", "turn_failed"]
    assert events[-1][2]["error"]["type"] == "internal_error"
    assert b"secret inside" not in answer.body


async def test_a_reader_that_left_is_forgotten_by_the_engine(serve: Serve) -> None:
    served = await serve(ping_s=0.01)
    sent = await served.send("hold on")
    async with aiohttp.ClientSession() as other, other.get(served.url + sent["events_url"]) as got:
        await got.content.readuntil(b"tool_started")
        assert len(served.house.readers) == 1
    async with asyncio.timeout(10):
        await served.house.nobody_reads.wait()


async def test_a_stream_that_ends_without_its_end_is_told_from_the_record(serve: Serve) -> None:
    served = await serve()
    served.house.reader = Short
    for text, expected in (("fail model_error", "model_error"), ("hold on", "internal_error")):
        sent = await served.send(text)
        events = read_events((await served.call("GET", sent["events_url"])).body)
        assert [name for _, name, _ in events] == ["turn_started", "turn_failed"]
        assert events[-1][2]["error"]["type"] == expected


async def test_an_error_of_the_engine_in_mid_stream_is_its_end(serve: Serve) -> None:
    class Failing(Breaking):
        problem = StorageUnavailable("the disk is full")

    served = await serve()
    served.house.reader = Failing
    events = read_events((await served.chat("hello", stream=True)).body)
    assert events[-1][1] == "turn_failed"
    assert events[-1][2]["error"]["type"] == "storage_unavailable"
    assert (await served.chat("hello")).status == 503


async def test_a_reader_that_stops_reading_is_let_go(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databot.gateway.writing.WRITE_TIMEOUT_S", 0.05)

    def flood(turn_id: str, message: InboundMessage) -> list[StreamEvent | None]:
        started = TurnStarted(turn_id=turn_id, session_id=message.session_id)
        return [started, *[TextDelta(turn_id=turn_id, text="x" * 100_000)] * 400, None]

    served = await serve(House(flood), ping_s=0.01)
    sent = await served.send("flood me")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rsplit(":", 1)[1]))
    writer.write(f"GET {sent['events_url']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readuntil(b"event: turn_started")
    try:
        async with asyncio.timeout(10):
            await served.house.nobody_reads.wait()
    finally:
        writer.transport.abort()
