"""Every way a model fails, through the real gateway: a typed answer within bounds, and the next message works."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from databot.testing import model_faults as faults
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Answer, Raw, Say
from databot.types.chat import ToolCall
from tests.flows.daemon import Daemon, running_gateway, write_config

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINE = Say(text="Fine.")
TIMEOUT_S = 1.5
LONGEST_S = 15.0
"""Far more than any of it takes: three tries with their waits, and a busy machine."""
SECRET = "sk-c4nary-9876543210"
NAMES = "SELECT name FROM customers"


def sql(arguments: str, call_id: str = "c1", name: str = "sql") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def asks(*calls: ToolCall, finish_reason: str | None = None) -> Say:
    return Say(calls=calls, finish_reason=finish_reason)


QUERY = '{"sql": "SELECT name FROM customers"}'
OTHER = '{"sql": "SELECT country FROM customers"}'
HALF = b'{"choices":[{"index":0,"%s":{"content":"\\ud800"}}]}'


@dataclass(frozen=True)
class Fails:
    """`standing` is what the model answers each time; the turn fails with this status and type."""

    standing: Answer
    status: int
    type: str


@dataclass(frozen=True)
class Mended:
    """The model answers these and then well: the turn succeeds, after tool calls that went so."""

    answers: tuple[Answer, ...]
    tools: list[bool] = field(default_factory=list[bool])


FAILURES: dict[str, Fails] = {
    "silent in the middle": Fails(Say(text="one two three", hold_after=2), 504, "model_timeout"),
    "rate limited": Fails(faults.rate_limited(), 503, "model_rate_limited"),
    "rate limited for an hour": Fails(faults.rate_limited("3600"), 503, "model_rate_limited"),
    "rate limited until a date": Fails(faults.rate_limited("Wed, 21 Oct 2099 07:28:00 GMT"), 503, "model_rate_limited"),
    "500": Fails(faults.server_error(), 503, "model_unavailable"),
    "a wrong key": Fails(faults.wrong_key(), 502, "model_auth_failed"),
    "an unknown model": Fails(faults.unknown_model(), 502, "model_unknown"),
    "a web page": Fails(faults.web_page(), 502, "model_bad_response"),
    "no choices": Fails(faults.empty_choices(), 502, "model_bad_response"),
    "malformed JSON": Fails(faults.malformed_json(), 502, "model_bad_response"),
    "a JSON null": Fails(Raw(body=b"null", stream_body=b"data: null\n\ndata: [DONE]\n\n"), 502, "model_bad_response"),
    "an error in the stream": Fails(faults.error_in_stream(), 503, "model_unavailable"),
    "cut in the text": Fails(Say(text="one two three four", cut="text"), 503, "model_unreachable"),
    "cut in a tool call": Fails(Say(calls=(sql(QUERY),), cut="tool"), 503, "model_unreachable"),
    "always too long": Fails(faults.context_overflow(), 502, "model_context_overflow"),
    "10 MB in one token": Fails(faults.huge_token(10_000_000), 502, "model_bad_response"),
    "nothing at all": Fails(Say(text=""), 502, "model_bad_response"),
    "a refused request": Fails(faults.error(400, f"bad: {SECRET}"), 502, "model_bad_response"),
}  # fmt: skip
ONLY_OF_STREAMS = frozenset({"silent in the middle", "deep arguments"})
"""Faults of a stream on its way: an answer that nobody watches may be fetched whole, and then has none of them."""
MENDED: dict[str, Mended] = {
    "silent once": Mended((faults.never_answers(),)),
    "rate limited once": Mended((faults.rate_limited("0.1"),)),
    "500 once": Mended((faults.server_error(),)),
    "too long once": Mended((faults.context_overflow(),)),
    "an invented tool": Mended((asks(sql("{}", name="fly_to_the_moon")),), [False]),
    "an invented column": Mended(
        (asks(sql('{"sql": "SELECT nope FROM customers"}')), asks(sql(QUERY, "c2"))), [False, True]
    ),
    "an invented table": Mended(
        (asks(sql('{"sql": "SELECT * FROM clients"}')), asks(sql(QUERY, "c2"))), [False, True]
    ),
    "cut arguments": Mended((asks(sql('{"sql": "SELECT')), asks(sql(QUERY, "c2"))), [False, True]),
    "wrong arguments": Mended((asks(sql('{"query": 5}')), asks(sql(QUERY, "c2"))), [False, True]),
    "a list of arguments": Mended((asks(sql("[1]")), asks(sql(QUERY, "c2"))), [False, True]),
    "no arguments": Mended((asks(sql("")), asks(sql(QUERY, "c2"))), [False, True]),
    "half a character": Mended((asks(sql('{"sql": "SELECT \'\\ud800\'"}')),), [False]),
    "a NUL": Mended((asks(sql('{"sql": "SELECT \'\\u0000\'"}')),), [False]),
    "an endless number": Mended((asks(sql('{"sql": "SELECT 1", "max_rows": 1e999}')),), [False]),
    "deep arguments": Mended((asks(sql("[" * 5_000 + "]" * 5_000)),), [False]),
    "calls that end with stop": Mended((asks(sql(QUERY), finish_reason="stop"),), [True]),
    "two calls of one id": Mended((asks(sql(QUERY), sql(OTHER)),), [True, True]),
    "one id in two answers": Mended((asks(sql(QUERY)), asks(sql(OTHER))), [True, True]),
    "a call without an id": Mended((asks(sql(QUERY, "")),), [True]),
    "the same call twice": Mended((asks(sql(QUERY)), asks(sql(QUERY, "c2"))), [True, False]),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["openai/test-model", "litellm/openai/test-model"]
)
async def daemon(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    model: ModelServer,
) -> AsyncGenerator[Daemon]:
    llm = {"model": request.param, "api_base": model.url, "api_key": SECRET, "timeout_s": TIMEOUT_S}
    config = write_config(
        tmp_path_factory.mktemp("faults"),
        llm=llm,
        agents={"router": "rules"},
        agent={"max_iterations": 6},
        auth={"rate_limit": {"requests": 100_000, "per_s": 1}},
    )
    async with running_gateway(config) as daemon:
        model.always(FINE)
        await daemon.ask("warm up", session_id="warm")
        yield daemon
        log = "\n".join(daemon.banner)
        assert SECRET not in log
        assert "Traceback" not in log


async def goes_on(daemon: Daemon, model: ModelServer, session_id: str) -> None:
    """The next message of the same conversation is answered."""
    model.always(FINE)
    assert (await daemon.ask("and now?", session_id=session_id))["reply"] == "Fine."


async def timed(daemon: Daemon, session_id: str) -> tuple[int, dict[str, Any]]:
    begun = time.monotonic()
    question = {"message": "@sql who?", "session_id": session_id}
    if session_id in ONLY_OF_STREAMS:
        told = await streamed(daemon, question)
    else:
        told = await daemon.post("/api/v1/chat", question)
    assert time.monotonic() - begun < LONGEST_S
    return told


async def streamed(daemon: Daemon, question: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The same question asked as a stream: the status the plain one would have had, and the terminal event's data."""
    events = [event async for event in daemon.events("/api/v1/chat", {**question, "stream": True})]
    data = events[-1].data
    failed = events[-1].name == "turn_failed"
    return (FAILURES[question["session_id"]].status if failed else 200), data


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failing_model_is_told_and_the_next_message_works(
    daemon: Daemon, model: ModelServer, name: str
) -> None:
    fault = FAILURES[name]
    model.always(fault.standing)
    status, body = await timed(daemon, name)
    assert (status, body["error"]["type"]) == (fault.status, fault.type), body
    assert SECRET not in str(body)
    assert "\n" not in body["error"]["message"]
    await goes_on(daemon, model, name)
    _, kept = await daemon.get(f"/api/v1/sessions/{name}")
    assert [m["content"] for m in kept["messages"] if m["role"] == "user"] == ["who?", "and now?"]


@pytest.mark.parametrize("name", MENDED)
async def test_a_model_that_comes_round_is_answered_with(
    daemon: Daemon, model: ModelServer, name: str
) -> None:
    fault = MENDED[name]
    model.script(*fault.answers)
    model.always(FINE)
    status, body = await timed(daemon, name)
    assert (status, body.get("reply")) == (200, "Fine."), body
    assert [tool["ok"] for tool in body["tools"]] == fault.tools
    await goes_on(daemon, model, name)


async def test_the_model_is_told_which_columns_there_are(
    daemon: Daemon, model: ModelServer
) -> None:
    model.script(asks(sql('{"sql": "SELECT naem FROM customers"}')))
    model.always(FINE)
    await daemon.ask("@sql who?", session_id="columns")
    told = model.requests[-1].body["messages"][-1]
    assert told["role"] == "tool"
    assert "naem" in told["content"]
    assert "name" in told["content"].replace("naem", "")


async def test_a_model_that_never_stops_calling_is_stopped_with_an_answer(
    daemon: Daemon, model: ModelServer
) -> None:
    asked = len(model.requests)

    def endless(body: Any) -> Answer:  # noqa: ANN401 - JSON
        number = len(model.requests)
        return asks(sql(f'{{"sql": "SELECT {number} FROM customers"}}', f"c{number}"))

    model.always(endless)
    status, body = await timed(daemon, "endless")
    assert status == 200
    assert body["finish_reason"] == "max_iterations_reached"
    assert body["reply"]
    assert len(model.requests) - asked == 7, "six rounds, and one to wrap up"
    await goes_on(daemon, model, "endless")


async def test_the_same_call_for_ever_is_noticed(daemon: Daemon, model: ModelServer) -> None:
    model.always(asks(sql(QUERY)))
    status, body = await timed(daemon, "same")
    assert (status, body["finish_reason"]) == (200, "duplicate_tool_calls_detected")
    assert sum(tool["ok"] for tool in body["tools"]) == 1
    await goes_on(daemon, model, "same")


async def test_a_slow_drip_is_read_to_its_end(daemon: Daemon, model: ModelServer) -> None:
    model.script(Say(text="slow", drip_bytes=7, drip_s=0.001))
    assert (await daemon.ask("@sql hi", session_id="drip"))["reply"] == "slow"


@pytest.mark.parametrize("standing", [faults.server_error(), Say(text="a b c", cut="text")])
async def test_a_failure_ends_a_stream_with_one_event(
    daemon: Daemon, model: ModelServer, standing: Answer
) -> None:
    model.always(standing)
    body = {"message": "@sql hi", "stream": True, "session_id": "events"}
    names = [event.name async for event in daemon.events("/api/v1/chat", body)]
    assert names[-1] == "turn_failed"
    assert sum(name in {"turn_failed", "turn_finished"} for name in names) == 1
    await goes_on(daemon, model, "events")


@pytest.mark.parametrize(
    ("first", "falls_back"),
    [(faults.server_error, True), (lambda: Say(text="some text", cut="text"), False)],
)
async def test_the_fallback_answers_only_where_nothing_was_streamed(
    tmp_path_factory: pytest.TempPathFactory, first: Callable[[], Answer], *, falls_back: bool
) -> None:
    async with ModelServer() as model:
        model.always(
            lambda body: first() if body["model"] == "first" else Say(text="From the second.")
        )
        llm = {"model": "openai/first", "fallbacks": ["openai/second"], "api_base": model.url}
        config = write_config(tmp_path_factory.mktemp("fallback"), llm=llm)
        async with running_gateway(config) as daemon:
            status, body = await daemon.post("/api/v1/chat", {"message": "@sql hi"})
    if falls_back:
        assert (status, body.get("reply")) == (200, "From the second."), body
    else:
        assert (status, body["error"]["type"]) == (503, "model_unreachable")


async def test_a_model_server_that_is_down_is_told_and_used_once_it_is_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with ModelServer() as model:
        port = int(model.url.rsplit(":", 1)[1].split("/")[0])
        url = model.url
    config = write_config(
        tmp_path_factory.mktemp("down"), llm={"model": "openai/m", "api_base": url}
    )
    async with running_gateway(config) as daemon:
        status, body = await daemon.post("/api/v1/chat", {"message": "@sql hi"})
        assert (status, body["error"]["type"]) == (503, "model_unreachable")
        async with ModelServer(port=port) as model:
            model.always(FINE)
            async with asyncio.timeout(LONGEST_S):
                assert (await daemon.ask("@sql hi"))["reply"] == "Fine."
