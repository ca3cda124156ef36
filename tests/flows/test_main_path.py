"""The main job through the real daemon: a question, a model over HTTP, a query, an answer with its evidence."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from tests.flows.daemon import Daemon, Event, running_gateway, write_config

QUERY = "SELECT country, SUM(amount) AS total FROM orders JOIN customers ON customers.id = customer_id GROUP BY country ORDER BY total DESC"
ANSWER = "Peru leads with 150, then Norway with 60."


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


def llm(model: ModelServer, name: str = "openai/test-model") -> dict[str, Any]:
    return {"model": name, "api_base": model.url, "api_key": "not-a-real-key", "timeout_s": 5}


@pytest.fixture
async def daemon(tmp_path: Path, model: ModelServer) -> AsyncGenerator[Daemon]:
    plenty = {"rate_limit": {"requests": 100_000, "per_s": 1}}
    async with running_gateway(write_config(tmp_path, llm=llm(model), auth=plenty)) as daemon:
        yield daemon


def script_query(model: ModelServer) -> None:
    model.call_tool("sql", {"sql": QUERY})
    model.reply_with(ANSWER)


@pytest.mark.parametrize("name", ["openai/test-model", "litellm/openai/test-model"])
async def test_a_question_is_answered_with_its_evidence(
    tmp_path: Path, model: ModelServer, name: str
) -> None:
    script_query(model)
    async with running_gateway(write_config(tmp_path, llm=llm(model, name))) as daemon:
        body = await daemon.ask("@sql revenue by country")
    assert body["reply"] == ANSWER
    assert body["agent"] == "sql"
    assert [(tool["name"], tool["ok"]) for tool in body["tools"]] == [("sql", True)]
    [evidence] = body["evidence"]
    assert evidence["connector"] == "shop"
    assert evidence["rows"] == 2
    assert evidence["truncated"] is False
    assert "SUM(" in evidence["statement"]
    assert evidence["as_of"]
    assert body["notes"] == []
    assert body["usage"]["output_tokens"] > 0


async def test_a_figure_no_result_holds_is_marked(daemon: Daemon, model: ModelServer) -> None:
    model.call_tool("sql", {"sql": QUERY})
    model.reply_with("Peru leads with 987,654.")
    body = await daemon.ask("@sql revenue by country")
    assert "987,654" in body["notes"][0]


async def test_the_stream_tells_every_step_and_ends_once(
    daemon: Daemon, model: ModelServer
) -> None:
    script_query(model)
    question = {"message": "@sql revenue by country", "stream": True}
    events = [event async for event in daemon.events("/api/v1/chat", question)]
    names = [event.name for event in events]
    assert names[:2] == ["turn_started", "agent_selected"]
    assert names[-2:] == ["message", "turn_finished"]
    assert [n for n in names if n.startswith("tool")] == ["tool_started", "tool_finished"]
    assert "".join(e.data["text"] for e in events if e.name == "text_delta") == ANSWER
    assert events[-1].data["reply"] == ANSWER
    assert [int(event.id) for event in events] == list(range(1, len(events) + 1))


async def test_the_conversation_is_kept_and_given_to_the_model(
    daemon: Daemon, model: ModelServer
) -> None:
    script_query(model)
    await daemon.ask("@sql revenue by country", session_id="kept")
    model.reply_with("Because of Cleo.")
    await daemon.ask("why?", session_id="kept")
    roles = [message["role"] for message in model.requests[-1].body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
    status, body = await daemon.get("/api/v1/sessions/kept")
    assert status == 200
    spoken = [m["content"] for m in body["messages"] if m["role"] in {"user", "assistant"}]
    assert [text for text in spoken if text] == [
        "revenue by country",
        ANSWER,
        "why?",
        "Because of Cleo.",
    ]


async def test_a_message_is_accepted_at_once_and_watched_later(
    daemon: Daemon, model: ModelServer
) -> None:
    model.reply_with("Here I am.")
    status, accepted = await daemon.post("/api/v1/messages", {"message": "hello"})
    assert status == 202
    events = [event async for event in daemon.events(accepted["events_url"])]
    assert events[-1].name == "turn_finished"
    status, turn = await daemon.get(f"/api/v1/turns/{accepted['turn_id']}")
    assert (status, turn["state"], turn["reply"]) == (200, "done", "Here I am.")


async def test_the_same_idempotency_key_gives_the_same_turn(
    daemon: Daemon, model: ModelServer
) -> None:
    model.reply_with("Once.")
    first = await daemon.post("/api/v1/messages", {"message": "hi"}, **{"Idempotency-Key": "k1"})
    again = await daemon.post("/api/v1/messages", {"message": "hi"}, **{"Idempotency-Key": "k1"})
    assert first[1]["turn_id"] == again[1]["turn_id"]
    events: list[Event] = [e async for e in daemon.events(first[1]["events_url"])]
    assert events[-1].data["reply"] == "Once."
    assert len(model.requests) == 1


async def test_cancelling_reaches_the_model_call(daemon: Daemon, model: ModelServer) -> None:
    model.always(Say(text="never", hold_after=0))
    _, accepted = await daemon.post("/api/v1/messages", {"message": "hello"})
    async with asyncio.timeout(10):
        await model.until(active=1)
    await daemon.post(f"/api/v1/turns/{accepted['turn_id']}/cancel", {})
    events = [event async for event in daemon.events(accepted["events_url"])]
    assert events[-1].name == "turn_failed"
    assert events[-1].data["error"]["type"] == "cancelled"
    async with asyncio.timeout(10):
        await model.until(abandoned=1)


async def test_a_killed_daemon_answers_after_its_restart(
    tmp_path: Path, model: ModelServer
) -> None:
    config = write_config(tmp_path, llm=llm(model))
    model.call_tool("sql", {"sql": QUERY})
    model.script(Say(text="lost", hold_after=0))
    async with running_gateway(config) as daemon:
        _, accepted = await daemon.post("/api/v1/messages", {"message": "@sql by country"})
        async with asyncio.timeout(20):
            await model.until(requests=2)
        daemon.kill()
    model.always(Say(text=ANSWER))
    async with running_gateway(config) as daemon:
        events = [event async for event in daemon.events(accepted["events_url"])]
        assert events[-1].data["reply"] == ANSWER
        assert [tool["name"] for tool in events[-1].data["tools"]] == ["sql"]
        assert events[-1].data["evidence"]
        assert events[-1].data["notes"] == []
        status, body = await daemon.get(f"/api/v1/sessions/{accepted['session_id']}")
    assert status == 200
    answers = [m for m in body["messages"] if m["role"] == "assistant" and m["content"] == ANSWER]
    assert len(answers) == 1
    roles = [m["role"] for m in model.requests[-1].body["messages"]]
    assert roles[-2:] == ["assistant", "tool"], "the finished query is not asked for again"


async def test_sigterm_lets_the_running_turn_finish(daemon: Daemon, model: ModelServer) -> None:
    model.always(Say(text="Just in time.", hold_after=0))
    question = {"message": "hello", "stream": True}
    stream = daemon.events("/api/v1/chat", question)
    first = await anext(stream)
    async with asyncio.timeout(10):
        await model.until(active=1)
    stopping = asyncio.ensure_future(daemon.stop())
    await asyncio.sleep(0)
    model.release()
    events = [first] + [event async for event in stream]
    assert events[-1].name == "turn_finished"
    assert events[-1].data["reply"] == "Just in time."
    assert await stopping == 0


async def test_a_thousand_messages_at_once_are_each_answered_once_or_refused(
    daemon: Daemon, model: ModelServer
) -> None:
    model.always(Say(text="ok"))

    async def send(n: int) -> int:
        status, body = await daemon.post(
            "/api/v1/messages", {"message": f"m{n}", "session_id": f"c{n % 100}"}
        )
        if status == 202:
            events = [event async for event in daemon.events(body["events_url"])]
            assert events[-1].name == "turn_finished"
        return status

    statuses = await asyncio.gather(*(send(n) for n in range(1000)))
    assert set(statuses) <= {202, 429}
    for c in range(0, 100, 10):
        status, body = await daemon.get(f"/api/v1/sessions/c{c}")
        if status == 200:
            asked = [m["content"] for m in body["messages"] if m["role"] == "user"]
            answered = [m for m in body["messages"] if m["role"] == "assistant"]
            assert len(asked) == len(set(asked)) == len(answered)
