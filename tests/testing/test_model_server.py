"""The scripted model server speaks OpenAI's protocol, and fails as scripted."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from databot.testing.model_command import parse
from databot.testing.model_faults import rate_limited, refuses
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.types.chat import ToolCall

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(30), ModelServer() as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def ask(
    session: aiohttp.ClientSession, server: ModelServer, **more: object
) -> tuple[int, dict[str, Any]]:
    async with session.post(f"{server.url}/chat/completions", json={**BODY, **more}) as response:
        return response.status, orjson.loads(await response.read())


async def stream(
    session: aiohttp.ClientSession, server: ModelServer, **more: object
) -> list[dict[str, Any]]:
    body = {**BODY, "stream": True, **more}
    async with session.post(f"{server.url}/chat/completions", json=body) as response:
        events = (await response.read()).decode().strip().split("\n\n")
    assert events.pop() == "data: [DONE]"
    return [orjson.loads(event.removeprefix("data: ")) for event in events]


async def test_answers_come_in_the_order_of_the_script_then_the_standing_one(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    server.call_tool("sql", {"query": "select 1"})
    server.reply_with("One row.")
    bodies = [(await ask(session, server))[1]["choices"][0] for _ in range(3)]
    assert bodies[0]["finish_reason"] == "tool_calls"
    assert bodies[0]["message"]["tool_calls"][0]["function"]["name"] == "sql"
    assert [body["message"]["content"] for body in bodies[1:]] == ["One row.", "OK"]
    assert server.requests[0].body == BODY


async def test_a_stream_adds_up_to_the_answer_and_counts_only_when_asked(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    call = ToolCall(id="c", name="sql", arguments='{"a": 1}')
    server.always(Say(text="two words", calls=(call,)))
    events = await stream(session, server)
    deltas = [event["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content", "") for delta in deltas) == "two words"
    parts = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert "".join(part["function"]["arguments"] for part in parts) == call.arguments
    assert not any(event.get("usage") for event in events)
    counted = await stream(session, server, stream_options={"include_usage": True})
    assert counted[-1]["usage"]["total_tokens"] == 17


async def test_faults_have_their_status_headers_and_conditions(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    server.script(rate_limited("7"), refuses("temperature", Say(text="fine")))
    async with session.post(f"{server.url}/chat/completions", json=BODY) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert (await ask(session, server, temperature=0))[0] == 400


async def test_a_cut_stream_ends_without_its_end(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    server.script(Say(text="one two three four", cut="text"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await stream(session, server)


async def test_a_client_that_leaves_is_noticed(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    server.script(Say(text="one two", hold_after=0))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask(session, server))
        await server.until(active=1)
        task.cancel()
    await server.until(abandoned=1)
    assert server.active == 0


async def test_a_held_answer_goes_on_when_released(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    server.script(Say(text="one two", hold_after=2))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream(session, server))
        await server.until(active=1)
        server.release()
    assert len(task.result()) == 4


async def test_a_wrong_key_is_refused(session: aiohttp.ClientSession) -> None:
    async with ModelServer(key="sk-right") as server:
        assert (await ask(session, server))[0] == 401
        headers = {"Authorization": "Bearer sk-right"}
        async with session.get(f"{server.url}/models", headers=headers) as response:
            assert response.status == 200


async def test_equal_texts_have_equal_vectors_and_others_do_not(
    server: ModelServer, session: aiohttp.ClientSession
) -> None:
    body = {"model": "e", "input": ["a", "b", "a"], "dimensions": 16}
    async with session.post(f"{server.url}/embeddings", json=body) as response:
        vectors = [item["embedding"] for item in (await response.json())["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert len(vectors[0]) == 16


async def test_as_a_process_it_prints_its_url_first_and_ends_on_sigterm(
    session: aiohttp.ClientSession,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "databot.testing.model_server", "--reply", "hi", stdout=-1
    )
    try:
        async with asyncio.timeout(30):
            assert process.stdout is not None
            url = (await process.stdout.readline()).decode().strip()
            async with session.post(f"{url}/chat/completions", json=BODY) as response:
                assert (await response.json())["choices"][0]["message"]["content"] == "hi"
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0


def test_with_a_call_the_model_asks_for_the_tool_before_it_answers() -> None:
    answer = parse(["--call", 'sql={"query": "select 1"}', "--reply", "done"]).answer
    question = {"messages": [{"role": "user"}], "tools": [{}]}
    asked = answer(question)
    assert isinstance(asked, Say)
    assert asked.calls[0].arguments == '{"query": "select 1"}'
    assert answer({"messages": [{"role": "tool"}], "tools": [{}]}) == Say(text="done")
