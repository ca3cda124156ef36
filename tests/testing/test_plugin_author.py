"""The kit as a plugin's author meets it: the fixtures pytest finds by itself, and answers of unusual servers."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import orjson
import pytest

from databot.storage.base import Step
from databot.testing.clock import FakeClock
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import ChatMessage
from databot.types.errors import NotFound
from tests.storage.parts import message

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


async def test_the_fixtures_open_a_whole_databot_and_a_scripted_server(
    running_databot: Callable[..., AbstractAsyncContextManager[Any]],
    make_model_server: type[ModelServer],
) -> None:
    async with asyncio.timeout(30), make_model_server() as server:
        server.reply_with("from the server")
        settings = {"llm": {"model": "openai/m", "api_base": server.url, "api_key": "k"}}
        async with running_databot(settings) as bot:
            assert (await bot.ask("hi")).content == "from the server"
        async with running_databot(provider=ScriptedProvider(["from the script"])) as bot:
            assert (await bot.ask("hi")).content == "from the script"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_counts_nothing_says_nothing_of_tokens(stream: bool) -> None:
    async with asyncio.timeout(30), ModelServer() as server, aiohttp.ClientSession() as session:
        server.script(Say(text="one two", usage=None))
        body = {**BODY, "stream": stream, "stream_options": {"include_usage": True}}
        async with session.post(f"{server.url}/chat/completions", json=body) as response:
            told = (await response.read()).decode()
    assert "prompt_tokens" not in told
    assert "one" in told


@pytest.mark.parametrize("body", [b"", b"[1]", b"{"])
async def test_a_request_that_is_no_object_is_kept_as_an_empty_one(body: bytes) -> None:
    async with asyncio.timeout(30), ModelServer() as server, aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/json"}
        url = f"{server.url}/chat/completions"
        async with session.post(url, data=body, headers=headers) as response:
            orjson.loads(await response.read())
    assert [request.body for request in server.requests] == [{}]


async def test_a_step_of_a_turn_that_is_not_there_is_refused_like_in_a_real_store() -> None:
    log = MemoryLog(FakeClock())
    await log.ingest("t9", message())
    claim = await MemoryClaims(log).claim(message().conversation)
    assert claim is not None
    await log.delete(message().conversation)
    step = Step(turn_id="t9", step=1, messages=(ChatMessage(role="assistant", content="x"),))
    with pytest.raises(NotFound):
        await log.append(claim, step)


async def test_a_sleeper_that_was_cancelled_is_not_woken() -> None:
    clock = FakeClock()
    sleeper = asyncio.ensure_future(clock.sleep(5))
    async with asyncio.timeout(5):
        await clock.until_sleeping()
    sleeper.cancel()
    clock.advance(10)
    await asyncio.wait([sleeper])
    assert sleeper.cancelled()
