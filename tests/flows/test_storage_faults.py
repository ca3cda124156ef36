"""databot's own database in trouble, and the daemon killed: nothing acknowledged is lost, nothing answered twice."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.types.chat import ToolCall
from tests.disk import fill
from tests.flows.daemon import (
    Daemon,
    environment,
    running_gateway,
    start_databot,
    write_config,
)
from tests.flows.relay import Relay

SLOW = (
    '{"sql": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000000)'
    ' SELECT max(x) AS x FROM c"}'
)
"""A query of about a second."""


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        server.always(Say(text="Fine."))
        yield server


def config(folder: Path, model: ModelServer, **sections: Any) -> Path:  # noqa: ANN401 - configuration values
    llm = {"model": "openai/test-model", "api_base": model.url, "timeout_s": 10}
    plenty = {"rate_limit": {"requests": 100_000, "per_s": 1}}
    return write_config(folder, llm=llm, agents={"router": "rules"}, auth=plenty, **sections)


async def said(daemon: Daemon, session_id: str) -> list[tuple[str, str]]:
    """Who said what in a conversation, tool calls and results left out."""
    status, body = await daemon.get(f"/api/v1/sessions/{session_id}")
    assert status == 200, body
    spoken = [m for m in body["messages"] if m["role"] in {"user", "assistant"} and m["content"]]
    return [(m["role"], m["content"]) for m in spoken]


# A small disk


async def test_a_full_disk_refuses_new_messages_and_loses_none(
    tmp_path: Path, small_disk: Path, model: ModelServer
) -> None:
    file = config(tmp_path, model, data_dir=str(small_disk / "data"))
    accepted: list[str] = []
    async with running_gateway(file) as daemon:
        await daemon.ask("first")
        filler = fill(small_disk)
        status, body = 0, dict[str, Any]()
        for number in range(200):
            text = f"{number} " + "x" * 5_000
            status, body = await daemon.post("/api/v1/chat", {"message": text, "session_id": "s"})
            if status != 200:
                break
            accepted.append(text)
        assert (status, body["error"]["type"]) == (503, "storage_unavailable"), body
        assert "disk is full" in body["error"]["message"]
        assert (await daemon.get("/healthz"))[0] == 200
        assert (await daemon.get("/api/v1/sessions/s"))[0] == 200
        filler.unlink()
        assert (await daemon.ask("after"))["reply"] == "Fine."
        kept = [text for role, text in await said(daemon, "s") if role == "user"]
        assert [text for text in kept if text in accepted] == accepted
        assert kept[0] == "first"
        assert kept[-1] == "after"
        assert await daemon.stop() == 0


async def test_a_disk_that_fills_while_the_model_answers_ends_the_turn_in_time(
    tmp_path: Path, small_disk: Path, model: ModelServer
) -> None:
    file = config(tmp_path, model, data_dir=str(small_disk / "data"))
    async with running_gateway(file) as daemon:
        await daemon.ask("first")
        model.script(Say(text="A long answer. " * 20_000, hold_after=0))
        _, accepted = await daemon.post("/api/v1/messages", {"message": "go", "session_id": "t"})
        async with asyncio.timeout(10):
            await model.until(active=1)
        filler = fill(small_disk)
        model.release()
        events = [event async for event in daemon.events(accepted["events_url"])]
        assert events[-1].name in {"turn_failed", "turn_finished"}
        if events[-1].name == "turn_failed":
            assert events[-1].data["error"]["type"] == "storage_unavailable"
        filler.unlink()
        assert (await daemon.ask("after", session_id="t"))["reply"] == "Fine."


async def test_a_read_only_disk_is_told_at_the_start(
    tmp_path: Path, small_disk: Path, model: ModelServer
) -> None:
    (small_disk / "data").mkdir()
    remount = await asyncio.create_subprocess_exec("mount", "-o", "remount,ro", str(small_disk))
    assert await remount.wait() == 0
    file = config(tmp_path, model, data_dir=str(small_disk / "data"))
    process = await start_databot(
        "gateway", "--config", str(file), "--port", "0", env=environment()
    )
    async with asyncio.timeout(30):
        _, err = await process.communicate()
    assert process.returncode in {1, 2}
    [line] = err.decode().splitlines()
    assert "read-only" in line.lower()


async def test_a_database_that_is_moved_away_takes_no_message_until_it_is_back(
    tmp_path: Path, model: ModelServer
) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    async with running_gateway(config(tmp_path, model)) as daemon:
        await daemon.ask("first")
        data.rename(away)
        status, body = await daemon.post("/api/v1/chat", {"message": "lost?", "session_id": "s"})
        assert (status, body["error"]["type"]) == (503, "storage_unavailable"), body
        assert "moved or deleted" in body["error"]["message"]
        assert (await daemon.get("/readyz"))[0] == 503
        away.rename(data)
        assert (await daemon.ask("after"))["reply"] == "Fine."
        kept = [text for role, text in await said(daemon, "s") if role == "user"]
        assert kept == ["first", "after"]


# Killed


@asynccontextmanager
async def killed_and_restarted(
    daemon: Daemon, file: Path, model: ModelServer
) -> AsyncGenerator[Daemon]:
    daemon.kill()
    await daemon.process.wait()
    model.release()
    async with running_gateway(file) as again:
        yield again


async def finished(daemon: Daemon, turn_id: str) -> str:
    events = [event async for event in daemon.events(f"/api/v1/turns/{turn_id}/events")]
    assert events[-1].name == "turn_finished", events[-1]
    return str(events[-1].data["reply"])


@pytest.mark.parametrize("point", ["accepted", "in the model", "in the text", "in the tool"])
async def test_a_killed_daemon_answers_each_message_exactly_once(
    tmp_path: Path, model: ModelServer, point: str
) -> None:
    file = config(tmp_path, model)
    first = {
        "accepted": Say(text="Fine."),
        "in the model": Say(text="Lost.", hold_after=0),
        "in the text": Say(text="one two three lost", hold_after=4),
        "in the tool": Say(calls=(ToolCall(id="c1", name="sql", arguments=SLOW),)),
    }
    model.script(first[point])
    async with running_gateway(file) as daemon:
        question = {"message": "@sql go", "session_id": "k"}
        _, accepted = await daemon.post("/api/v1/messages", question)
        if point == "in the model":
            async with asyncio.timeout(10):
                await model.until(active=1)
        wanted = {"in the text": "text_delta", "in the tool": "tool_started"}.get(point)
        if wanted:
            async for event in daemon.events(accepted["events_url"]):
                if event.name == wanted:
                    break
        async with killed_and_restarted(daemon, file, model) as again:
            assert await finished(again, accepted["turn_id"]) == "Fine."
            assert await said(again, "k") == [("user", "go"), ("assistant", "Fine.")]
            assert (await again.ask("more", session_id="k"))["reply"] == "Fine."


async def test_many_messages_and_many_kills_lose_and_repeat_nothing(
    tmp_path: Path, model: ModelServer
) -> None:
    file = config(tmp_path, model)
    model.always(lambda body: Say(text=f"re: {body['messages'][-1]['content']}"))
    turns: dict[str, str] = {}
    for kill_after in (1, 7, 15, None):
        async with running_gateway(file) as daemon:
            for number in range(kill_after or 5):
                text = f"{kill_after}-{number}"
                key = {"Idempotency-Key": text}
                body = {"message": text, "session_id": f"m{number % 3}"}
                status, accepted = await daemon.post("/api/v1/messages", body, **key)
                assert status == 202
                turns[text] = accepted["turn_id"]
            if kill_after is not None:
                daemon.kill()
                await daemon.process.wait()
                continue
            for text, turn_id in turns.items():
                assert await finished(daemon, turn_id) == f"re: {text}"
            spoken = [pair for number in range(3) for pair in await said(daemon, f"m{number}")]
    answers = [text for role, text in spoken if role == "assistant"]
    assert sorted(answers) == sorted(f"re: {text}" for text in turns)
    asked = [text for role, text in spoken if role == "user"]
    assert sorted(asked) == sorted(turns)


# PostgreSQL as our own database


@pytest.fixture
async def own_postgres(postgres_url: str) -> AsyncGenerator[str]:
    name = f"qa_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield f"{postgres_url.rpartition('/')[0]}/{name}"
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@pytest.mark.service
async def test_our_postgres_going_away_refuses_messages_until_it_is_back(
    tmp_path: Path, model: ModelServer, own_postgres: str
) -> None:
    parts = urlsplit(own_postgres)
    relay = Relay(parts.hostname or "", parts.port or 0)
    await relay.up()
    login = parts.netloc.rpartition("@")[0]
    url = f"postgresql+asyncpg://{login}@127.0.0.1:{relay.port}{parts.path}"
    try:
        async with running_gateway(config(tmp_path, model, storage={"url": url})) as daemon:
            assert (await daemon.ask("first"))["reply"] == "Fine."
            await relay.down()
            status, body = await daemon.post("/api/v1/chat", {"message": "x", "session_id": "s"})
            assert (status, body["error"]["type"]) == (503, "storage_unavailable"), body
            assert (await daemon.get("/healthz"))[0] == 200
            assert (await daemon.get("/readyz"))[0] == 503
            await relay.up()
            assert (await daemon.ask("after"))["reply"] == "Fine."
            assert [text for role, text in await said(daemon, "s") if role == "user"] == [
                "first",
                "after",
            ]
            async with asyncio.timeout(10):
                while (await daemon.get("/readyz"))[0] != 200:
                    pass  # it asks its components once a moment
            assert await daemon.stop() == 0
    finally:
        await relay.down()


async def keep_strange_text(file: Path, model: ModelServer) -> None:
    model.script(Say(text="a\0b \x1b[31m \\u0000 \U0001f986"))
    async with running_gateway(file) as daemon:
        reply = await daemon.ask("@sql \\u0000 \U0001f986 \x01")
        assert "\U0001f986" in reply["reply"]
        [user, assistant] = await said(daemon, "s")
        assert user[1] == "\\u0000 \U0001f986 \x01"
        assert "\\u0000 \U0001f986" in assistant[1]
        assert (await daemon.ask("and now?"))["reply"] == "Fine."


async def test_text_no_database_likes_is_kept_in_sqlite(tmp_path: Path, model: ModelServer) -> None:
    await keep_strange_text(config(tmp_path, model), model)


@pytest.mark.service
async def test_text_no_database_likes_is_kept_in_postgres(
    tmp_path: Path, model: ModelServer, own_postgres: str
) -> None:
    url = own_postgres.replace("postgresql:", "postgresql+asyncpg:")
    await keep_strange_text(config(tmp_path, model, storage={"url": url}), model)


@pytest.mark.service
async def test_a_killed_daemon_on_postgres_answers_each_message_exactly_once(
    tmp_path: Path, model: ModelServer, own_postgres: str
) -> None:
    url = own_postgres.replace("postgresql:", "postgresql+asyncpg:")
    file = config(tmp_path, model, storage={"url": url})
    model.script(Say(text="Lost.", hold_after=0))
    async with running_gateway(file) as daemon:
        _, accepted = await daemon.post("/api/v1/messages", {"message": "@sql go"})
        async with asyncio.timeout(10):
            await model.until(active=1)
        async with killed_and_restarted(daemon, file, model) as again:
            assert await finished(again, accepted["turn_id"]) == "Fine."
            assert await said(again, accepted["session_id"]) == [
                ("user", "go"),
                ("assistant", "Fine."),
            ]
