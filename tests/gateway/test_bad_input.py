"""What clients get wrong: each has its status, a type and a line that says where, and the next message works."""

import asyncio
import base64
import io
from typing import Any

import pytest

from tests.gateway.conftest import BOUND_S, Serve, Served

CHAT = "/api/v1/chat"
JSON = {"Content-Type": "application/json"}


async def assert_next_message_works(served: Served) -> None:
    assert (await served.chat("next")).status == 200


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "line 1 column 1"),
        (b"{", "line 1 column"),
        (b'{"message": tru}', "line 1 column"),
        (b'{"message": "\xff"}', "UTF-8"),
        (b'{"message": "\\ud800"}', "surrogate"),
        (b"[" * 5000, "depth"),
        (b"\x00\x01\x02", "line 1 column 1"),
        (b"NaN", "line 1 column 1"),
    ],
)
async def test_a_body_that_is_not_json_is_refused_with_the_place(
    served: Served, raw: bytes, where: str
) -> None:
    answer = await served.call("POST", CHAT, data=raw, headers=JSON)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request")
    assert where in answer.error["message"]
    await assert_next_message_works(served)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], "body"),
        ("text", "body"),
        ({}, "message"),
        ({"message": 5}, "message"),
        ({"message": None}, "message"),
        ({"message": ""}, "message"),
        ({"message": " \n\t "}, "message"),
        ({"message": "a\x00b"}, "message"),
        ({"message": "x", "stream": "yes"}, "stream"),
        ({"message": "x", "stream": None}, "stream"),
        ({"message": "x", "session_id": "a\nb"}, "session_id"),
        ({"message": "x", "session_id": "\u200b"}, "session_id"),
        ({"message": "x", "session_id": "   "}, "session_id"),
        ({"message": "x", "session_id": "a" * 201}, "session_id"),
        ({"message": "x", "session_id": ""}, "session_id"),
        ({"message": "x", "bot_id": "../etc"}, "bot_id"),
        ({"message": "x", "agent": ["sql"]}, "agent"),
        ({"message": "x", "attachments": {}}, "attachments"),
        ({"message": "x", "attachments": [{"name": "a"}]}, "attachments.0.data"),
        ({"message": "x", "attachments": [{"name": "a", "data": "!"}]}, "attachments.0.data"),
        ({"message": "x", "attachments": [{"name": "\n", "data": ""}]}, "attachments.0.name"),
        (
            {"message": "x", "attachments": [{"name": "a", "data": "", "media_type": "x"}]},
            "attachments.0.media_type",
        ),
        ({"message": "x", "attachments": [{"name": "a", "data": ""}] * 11}, "attachments"),
    ],
)
async def test_a_wrong_value_is_refused_by_name(
    served: Served,
    body: Any,  # noqa: ANN401 - anything a client may send
    where: str,
) -> None:
    answer = await served.call("POST", CHAT, json=body)
    assert answer.status == 400
    assert answer.error["message"].startswith(f"{where}:")
    assert served.house.records == {}
    await assert_next_message_works(served)


@pytest.mark.parametrize(
    "body",
    [
        {"session_id": "Besprechung Zürich/3"},
        {"session_id": None, "agent": None, "bot_id": None},
        {"a_field_of_the_future": 1},
        {"attachments": []},
        {"stream": False},
    ],
)
async def test_what_is_allowed_is_accepted(served: Served, body: dict[str, Any]) -> None:
    assert (await served.chat("x", **body)).status == 200


@pytest.mark.parametrize("body", [{"bot_id": "nobody"}, {"agent": "nobody"}])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_bot_or_agent_is_404_before_any_stream_starts(
    served: Served, body: dict[str, str], stream: bool
) -> None:
    answer = await served.chat("x", stream=stream, **body)
    assert (answer.status, answer.error["type"]) == (404, "not_found")


@pytest.mark.parametrize("size", [200_001, 1_000_000])
async def test_a_message_over_the_limit_is_413(served: Served, size: int) -> None:
    answer = await served.chat("x" * size)
    assert (answer.status, answer.error["type"]) == (413, "too_large")
    await assert_next_message_works(served)


async def test_a_body_over_the_limit_is_413_however_it_is_sent(serve: Serve) -> None:
    served = await serve(max_body_bytes=1000)
    big = b'{"message": "' + b"x" * 5000 + b'"}'

    async def in_pieces() -> Any:  # noqa: ANN401 - an async generator
        for start in range(0, len(big), 100):
            yield big[start : start + 100]

    for data in (big, in_pieces()):
        answer = await served.call("POST", CHAT, data=data, headers=JSON)
        assert (answer.status, answer.error["type"]) == (413, "too_large")
        await assert_next_message_works(served)


async def test_large_attachments_fit_within_the_body_limit(served: Served) -> None:
    data = base64.b64encode(b"x" * 3_000_000).decode()
    body = f'{{"message": "x", "attachments": [{{"name": "big.bin", "data": "{data}"}}]}}'
    answer = await served.call("POST", CHAT, data=io.BytesIO(body.encode()), headers=JSON)
    assert answer.status == 200
    (record,) = served.house.records.values()
    assert len(record.message.attachments[0].data) == 3_000_000


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_another_content_type_is_415(served: Served, kind: str) -> None:
    headers = {"Content-Type": kind}
    answer = await served.call("POST", CHAT, data=b'{"message": "x"}', headers=headers)
    assert (answer.status, answer.error["type"]) == (415, "unsupported_media_type")


async def test_a_body_that_never_arrives_is_408(serve: Serve) -> None:
    served = await serve(body_timeout_s=0.01)

    async def never() -> Any:  # noqa: ANN401 - an async generator
        yield b'{"message": '
        await served.house.nobody_reads.wait()

    answer = await served.call("POST", CHAT, data=never(), headers=JSON)
    assert (answer.status, answer.error["type"]) == (408, "request_timeout")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/turns/nope"),
        ("GET", "/api/v1/turns/nope/events"),
        ("POST", "/api/v1/turns/nope/cancel"),
        ("GET", "/api/v1/artifacts/nope"),
        ("GET", "/api/v1/sessions/nope"),
        ("DELETE", "/api/v1/sessions/nope"),
        ("POST", "/api/v1/connectors/nope/check"),
        ("GET", "/chat/nope"),
        ("GET", "/static/nope.js"),
        ("GET", "/static/..%2fapp.py"),
        ("GET", "/static/chat.html"),
        ("GET", "/nowhere"),
        ("POST", "/api/v1/feedback"),
    ],
)
async def test_what_does_not_exist_is_404_in_json(served: Served, method: str, path: str) -> None:
    answer = await served.call(method, path)
    assert (answer.status, answer.error["type"]) == (404, "not_found")
    assert answer.error["request_id"] == answer.headers["X-Request-ID"]


async def test_another_method_is_405_in_json_and_says_which_are_allowed(served: Served) -> None:
    answer = await served.call("PUT", CHAT)
    assert (answer.status, answer.error["type"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "ü"])
async def test_an_idempotency_key_must_be_visible_ascii(served: Served, key: str) -> None:
    headers = {"Idempotency-Key": key}
    answer = await served.call("POST", "/api/v1/messages", json={"message": "x"}, headers=headers)
    assert answer.status == 400


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "before=yesterday",
        "before=9999-12-31T23:59:59-12:00",
    ],
)
async def test_a_wrong_page_of_sessions_is_refused(served: Served, query: str) -> None:
    assert (await served.call("GET", f"/api/v1/sessions?{query}")).status == 400


@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", "/api/v1/sessions/s")])
async def test_a_wish_for_html_is_yes_or_no(served: Served, method: str, path: str) -> None:
    await served.chat("x", session_id="s")
    answer = await served.call(method, path + "?html=please", json={"message": "y"})
    assert answer.status == 400
    assert len(served.house.records) == 1


async def test_a_body_that_is_not_packed_as_it_says_is_a_plain_400(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for junk in (b"this is no gzip", b"\x1f\x8b\x08\x00broken"):
        answer = await served.call(
            "POST",
            "/api/v1/chat",
            data=junk,
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
        assert answer.status == 400
        assert answer.error["type"] == "invalid_request"
    assert caplog.records == []


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_ours(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    for _ in range(3):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"message"'
        )
        await writer.drain()
        await served.call("GET", "/healthz")
        writer.transport.abort()
    async with asyncio.timeout(BOUND_S):
        while served.gateway.metrics.text().count('route="/api/v1/chat"') == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert caplog.records == []
    await assert_next_message_works(served)
