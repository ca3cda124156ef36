"""The same message sent again in the terminal: at once, afterwards, after its process was killed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from tests.flows.daemon import environment, run_databot, start_databot, write_config

LIMIT_S = 60


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


def chat(folder: Path, model: ModelServer, *, text: str = "hello", key: str = "k") -> list[str]:
    llm = {"model": "openai/test-model", "api_base": model.url, "timeout_s": 60}
    sections = {"agents": {"router": "rules"}, "dispatch": {"lease_s": 2}}
    config = write_config(folder, llm=llm, **sections)
    return ["chat", "--config", str(config), "-m", text, "--key", key]


async def test_a_message_sent_again_under_its_key_is_answered_once(
    tmp_path: Path, model: ModelServer
) -> None:
    model.always(Say(text="42", hold_after=0))
    command = chat(tmp_path, model)
    first = asyncio.ensure_future(run_databot(*command))
    async with asyncio.timeout(LIMIT_S):
        await model.until(active=1)
    beside = asyncio.ensure_future(run_databot(*command))  # while it is being answered
    model.release()
    said = [await first, await beside, await run_databot(*command)]
    assert [(status, out.strip()) for status, out, _ in said] == [(0, "42")] * 3
    assert len(model.requests) == 1


async def test_a_message_whose_process_was_killed_is_answered_when_it_is_sent_again(
    tmp_path: Path, model: ModelServer
) -> None:
    model.script(Say(text="too late", hold_after=0))
    model.always(Say(text="42"))
    command = chat(tmp_path, model)
    process = await start_databot(*command, env=environment())
    async with asyncio.timeout(LIMIT_S):
        await model.until(active=1)
        process.kill()
        await process.communicate()
    status, out, _ = await run_databot(*command)
    assert (status, out.strip()) == (0, "42")
    assert len(model.requests) == 2


async def test_a_key_of_another_message_is_refused(tmp_path: Path, model: ModelServer) -> None:
    model.always(Say(text="42"))
    assert (await run_databot(*chat(tmp_path, model)))[0] == 0
    status, out, err = await run_databot(*chat(tmp_path, model, text="something else"))
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == "databot: this key was used for another message (use a new key)"
    status, _, err = await run_databot(*chat(tmp_path, model, key=""))
    assert status == 2
    assert "--key" in err
