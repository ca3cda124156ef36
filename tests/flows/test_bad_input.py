"""Bad input through the real gateway: each gets a typed 4xx, and the next message works."""

import asyncio
import io
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from tests.flows.daemon import Daemon, running_gateway, write_config

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS, THEIRS = "ours-0123456789abcdef", "theirs-0123456789abcdef"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.always(Say(text="Fine."))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(
    tmp_path_factory: pytest.TempPathFactory, model: ModelServer
) -> AsyncGenerator[Daemon]:
    """Two tenants, one bot each beside the common one, and small limits."""
    config = write_config(
        tmp_path_factory.mktemp("bad"),
        llm={"model": "openai/test-model", "api_base": model.url, "timeout_s": 5},
        gateway={"max_body_mb": 4},
        auth={
            "api_keys": [
                {"key": OURS, "name": "we", "tenant": "us"},
                {"key": THEIRS, "name": "they", "tenant": "them"},
            ],
            "rate_limit": {"requests": 100_000, "per_s": 1},
        },
        bots={"default": {}, "private": {"tenant": "them"}},
    )
    async with running_gateway(config) as daemon:
        daemon.session.headers["X-API-Key"] = OURS
        yield daemon


async def call(daemon: Daemon, method: str, path: str, **request: Any) -> tuple[int, Any]:  # noqa: ANN401 - aiohttp's own
    async with daemon.session.request(method, daemon.url + path, **request) as response:
        assert response.content_type == "application/json", await response.text()
        return response.status, await response.json()


async def refused(daemon: Daemon, method: str, path: str, **request: Any) -> tuple[int, str]:  # noqa: ANN401 - aiohttp's own
    """The status and the error's type; the body has the one shape and the next message works."""
    status, body = await call(daemon, method, path, **request)
    assert set(body) == {"error"}, body
    error = body["error"]
    assert set(error) <= {"type", "message", "detail", "request_id"}
    assert error["message"]
    assert "\n" not in error["message"]
    assert len(error["message"]) < 2_000
    assert (await daemon.ask("and now?"))["reply"] == "Fine."
    return status, error["type"]


UNKNOWN = [
    ("GET", "/api/v1/turns/t_none"),
    ("GET", "/api/v1/turns/t_none/events"),
    ("POST", "/api/v1/turns/t_none/cancel"),
    ("GET", "/api/v1/sessions/none"),
    ("DELETE", "/api/v1/sessions/none"),
    ("GET", "/api/v1/artifacts/a_none"),
    ("GET", "/api/v1/artifacts/..%2F..%2Fdatabot.db"),
    ("GET", "/api/v1/sessions/%00"),
    ("GET", "/api/v1/turns/%ff%fe"),
    ("GET", f"/api/v1/sessions/{'x' * 7000}"),
    ("POST", "/api/v1/connectors/none/check"),
    ("GET", "/api/v1/nothing/here"),
    ("GET", "/api/v2/chat"),
]


@pytest.mark.parametrize(("method", "path"), UNKNOWN, ids=lambda value: str(value)[:40])
async def test_what_does_not_exist_is_not_found(daemon: Daemon, method: str, path: str) -> None:
    status, kind = await refused(daemon, method, path)
    assert (status, kind) in {(404, "not_found"), (400, "invalid_request")}
    if "%" not in path and len(path) < 7000:
        assert status == 404


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", [{"bot_id": "nobody"}, {"agent": "nobody"}])
async def test_an_unknown_bot_or_agent_is_not_found_before_any_stream(
    daemon: Daemon, model: ModelServer, field: dict[str, str], *, stream: bool
) -> None:
    body = {"message": "hi", "stream": stream, **field}
    assert await refused(daemon, "POST", "/api/v1/chat", json=body) == (404, "not_found")
    assert await refused(daemon, "POST", "/api/v1/messages", json=body) == (404, "not_found")


async def test_the_things_of_one_tenant_do_not_exist_for_another(daemon: Daemon) -> None:
    body = {"message": "ours", "session_id": "mine"}
    status, answer = await call(daemon, "POST", "/api/v1/chat", json=body)
    assert status == 200
    them = {"headers": {"X-API-Key": THEIRS}}
    turn = f"/api/v1/turns/{answer['turn_id']}"
    for method, path in [
        ("GET", turn),
        ("GET", turn + "/events"),
        ("POST", turn + "/cancel"),
        ("GET", "/api/v1/sessions/mine"),
        ("DELETE", "/api/v1/sessions/mine"),
    ]:
        assert await refused(daemon, method, path, **them) == (404, "not_found"), path
    private = {"message": "hi", "bot_id": "private"}
    assert await refused(daemon, "POST", "/api/v1/chat", json=private) == (404, "not_found")
    status, answer = await call(daemon, "POST", "/api/v1/chat", json=private, **them)
    assert status == 200
    status, ours = await call(daemon, "GET", "/api/v1/sessions/mine")
    assert status == 200
    assert [m["content"] for m in ours["messages"] if m["role"] == "user"] == ["ours"]


@pytest.mark.parametrize("key", [None, "", "wrong", "x" * 8_000, "ours-0123456789abcde\u00e9"])
async def test_a_missing_or_wrong_key_is_refused(daemon: Daemon, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(daemon.url + "/api/v1/sessions", headers=headers) as response,
    ):
        assert response.status in {400, 401}
        assert (await response.json())["error"]["type"] in {"unauthorized", "invalid_request"}


JSON = {"Content-Type": "application/json"}
DEEP = b'{"message":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "no json": (b"{message: hi", 400),
    "cut json": (b'{"message": "hi"', 400),
    "invalid utf-8": (b'{"message": "\xff\xfe"}', 400),
    "lone surrogate": (b'{"message": "\\ud800"}', 400),
    "binary": (bytes(range(256)), 400),
    "deep": (DEEP, 400),
    "a list": (b'["hi"]', 400),
    "a string": (b'"hi"', 400),
    "null": (b"null", 400),
    "a number": (b"1e999", 400),
    "no message": (b"{}", 400),
    "empty": (b'{"message": ""}', 400),
    "spaces": (b'{"message": " \\n\\t "}', 400),
    "nul": (b'{"message": "a\\u0000b"}', 400),
    "a number for a message": (b'{"message": 5}', 400),
    "null for a message": (b'{"message": null}', 400),
    "a list for a message": (b'{"message": ["hi"]}', 400),
    "a string for a boolean": (b'{"message": "hi", "stream": "yes", "session_id": ""}', 400),
    "a number for a session": (b'{"message": "hi", "session_id": 7}', 400),
    "an empty session": (b'{"message": "hi", "session_id": ""}', 400),
    "a nul session": (b'{"message": "hi", "session_id": "a\\u0000"}', 400),
    "a huge session": (b'{"message": "hi", "session_id": "' + b"s" * 100_000 + b'"}', 400),
    "a path for a bot": (b'{"message": "hi", "bot_id": "../../etc"}', 400),
    "bad base64": (b'{"message": "hi", "attachments": [{"name": "a", "data": "!"}]}', 400),
    "1 MB": (b'{"message": "' + b"m" * 1_000_000 + b'"}', 413),
    "5 MB": (b'{"message": "' + b"m" * 5_000_000 + b'"}', 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_and_nothing_is_begun(
    daemon: Daemon, model: ModelServer, name: str
) -> None:
    raw, expected = BODIES[name]
    asked = len(model.requests)
    for path in ("/api/v1/chat", "/api/v1/messages"):
        status, kind = await refused(daemon, "POST", path, data=io.BytesIO(raw), headers=JSON)
        assert (status, kind) == (expected, "too_large" if expected == 413 else "invalid_request")
    assert len(model.requests) == asked + 2, "only the messages that followed reached the model"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "nonsense"])
async def test_another_content_type_is_refused(daemon: Daemon, kind: str) -> None:
    request = {"data": b'{"message": "hi"}', "headers": {"Content-Type": kind}}
    status, error = await refused(daemon, "POST", "/api/v1/chat", **request)
    assert (status, error) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/chat"), ("PUT", "/api/v1/sessions/s")]
)
async def test_a_wrong_method_is_refused(daemon: Daemon, method: str, path: str) -> None:
    assert await refused(daemon, method, path) == (405, "method_not_allowed")


@pytest.mark.parametrize("last", ["x", "-1", "1" * 400, "1.5", "\u0663"])
async def test_a_last_event_id_that_is_no_number_is_refused(daemon: Daemon, last: str) -> None:
    turn = (await daemon.ask("hi"))["turn_id"]
    headers = {"Last-Event-ID": last}
    status, _ = await refused(daemon, "GET", f"/api/v1/turns/{turn}/events", headers=headers)
    assert status == 400


@pytest.mark.parametrize(
    "text", ["héllo 🦆 مرحبا", "a" * 60_000, "'; DROP TABLE turns; --", "{{7*7}}"]
)
async def test_strange_text_is_kept_as_it_is(daemon: Daemon, text: str) -> None:
    session = f"strange-{abs(hash(text))} ü"
    await daemon.ask(text, session_id=session)
    status, body = await call(daemon, "GET", f"/api/v1/sessions/{quote(session)}")
    assert status == 200
    assert [m["content"] for m in body["messages"] if m["role"] == "user"] == [text]


async def test_a_message_over_the_models_context_is_refused_and_the_session_goes_on(
    daemon: Daemon,
) -> None:
    long = {"message": "b" * 199_000, "session_id": "long"}
    assert await refused(daemon, "POST", "/api/v1/chat", json=long) == (413, "too_large")
    assert (await daemon.ask("and now?", session_id="long"))["reply"] == "Fine."


RAW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "no version": b"GET /api/v1/sessions\r\n\r\n",
    "a huge header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "a huge request line": b"GET /" + b"z" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a negative length": b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "a broken chunk": b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_what_is_no_http_is_answered_400_or_hung_up_on(daemon: Daemon, name: str) -> None:
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(RAW[name])
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer == b"" or answer.split()[1] in {b"400", b"404", b"401", b"431", b"414"}, answer[
        :200
    ]
    assert (await daemon.ask("and now?"))["reply"] == "Fine."


async def test_nothing_of_all_this_was_an_error_of_ours(daemon: Daemon) -> None:
    """Runs last in this module: the log holds no stack, and no key."""
    log = "\n".join(daemon.banner)
    assert "Traceback" not in log
    assert OURS not in log
    assert THEIRS not in log
