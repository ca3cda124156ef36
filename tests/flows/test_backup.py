"""A backup taken from a gateway at work, restored elsewhere: the conversations are there, and what was open goes on."""

import asyncio
import secrets
import tarfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from tests.flows.daemon import Daemon, run_databot, running_gateway, write_config

PLENTY = {"rate_limit": {"requests": 100_000, "per_s": 1}}


@pytest.fixture
async def model() -> AsyncGenerator[ModelServer]:
    async with ModelServer() as server:
        yield server


def config(folder: Path, model: ModelServer, **sections: Any) -> Path:  # noqa: ANN401 - configuration values
    llm = {"model": "openai/test-model", "api_base": model.url, "timeout_s": 60}
    return write_config(folder, llm=llm, agents={"router": "rules"}, auth=PLENTY, **sections)


def answer(body: Mapping[str, Any]) -> Say:
    """The question back; one asks to be waited for."""
    asked = str(body["messages"][-1]["content"])
    return Say(text=f"re: {asked}", hold_after=0 if asked == "wait" else None)


async def keep_asking(daemon: Daemon, answered: list[str], begun: asyncio.Event) -> None:
    while True:
        text = f"q{len(answered)}"
        assert (await daemon.ask(text, session_id="busy"))["reply"] == f"re: {text}"
        answered.append(text)
        if len(answered) == 3:
            begun.set()


async def beside_work(daemon: Daemon, *backup: str) -> tuple[list[str], str]:
    """Run the backup while questions are asked; gives those answered before it began, and what it said."""
    answered: list[str] = []
    begun = asyncio.Event()
    async with asyncio.TaskGroup() as group, asyncio.timeout(90):
        asking = group.create_task(keep_asking(daemon, answered, begun))
        await begun.wait()
        before = list(answered)
        status, out, err = await run_databot("db", "backup", *backup)
        asking.cancel()
    assert (status, err) == (0, ""), err
    assert len(answered) > len(before)  # the gateway was not held up
    return before, out


async def assert_restored(daemon: Daemon, before: list[str], open_turn: str) -> None:
    """Everything answered before the backup is there; the open turn goes on to its end."""
    status, body = await daemon.get("/api/v1/sessions/busy")
    assert status == 200
    said = [message["content"] for message in body["messages"]]
    assert said[: 2 * len(before)] == [part for text in before for part in (text, f"re: {text}")]
    events = [event async for event in daemon.events(f"/api/v1/turns/{open_turn}/events")]
    assert events[-1].name == "turn_finished"
    assert events[-1].data["reply"] == "re: wait"


async def test_a_backup_of_a_busy_gateway_is_restored_and_its_open_turn_goes_on(
    tmp_path: Path, model: ModelServer
) -> None:
    model.always(answer)
    file, archive = config(tmp_path, model), tmp_path / "b.tar.gz"
    async with running_gateway(file) as daemon:
        body = {"message": "wait", "session_id": "open"}
        _, accepted = await daemon.post("/api/v1/messages", body)
        before, said = await beside_work(daemon, str(archive), "--config", str(file))
        assert "1 of them unfinished" in said or "2 of them unfinished" in said
        daemon.kill()
    new = tmp_path / "new"
    with tarfile.open(archive) as tar:
        tar.extractall(new, filter="tar")
    model.always(lambda body: Say(text=f"re: {body['messages'][-1]['content']}"))
    model.release()
    async with running_gateway(config(tmp_path, model, data_dir=str(new))) as daemon:
        await assert_restored(daemon, before, accepted["turn_id"])
        assert (await daemon.ask("more", session_id="busy"))["reply"] == "re: more"


@pytest.mark.service
async def test_a_backup_of_a_busy_gateway_on_postgresql_is_restored_into_a_new_database(
    tmp_path: Path, model: ModelServer, postgres_url: str
) -> None:
    model.always(answer)
    mark = secrets.token_hex(4)
    old, new = (
        urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}_{mark}"))
        for name in ("old", "new")
    )
    admin = await asyncpg.connect(postgres_url)
    try:
        for name in ("old", "new"):
            await admin.execute(f"CREATE DATABASE {name}_{mark}")
        file, folder = config(tmp_path, model, storage={"url": old}), tmp_path / "b"
        async with running_gateway(file) as daemon:
            body = {"message": "wait", "session_id": "open"}
            _, accepted = await daemon.post("/api/v1/messages", body)
            before, _ = await beside_work(daemon, str(folder), "--config", str(file))
            daemon.kill()
        process = await asyncio.create_subprocess_exec(
            *("pg_restore", "--no-owner", "--single-transaction", "-d", new),
            str(folder / "databot.pgdump"),
        )
        assert await asyncio.wait_for(process.wait(), 60) == 0
        model.always(lambda body: Say(text=f"re: {body['messages'][-1]['content']}"))
        model.release()
        elsewhere = config(tmp_path, model, storage={"url": new}, data_dir=str(folder))
        async with running_gateway(elsewhere) as daemon:
            await assert_restored(daemon, before, accepted["turn_id"])
    finally:
        for name in ("old", "new"):
            await admin.execute(f"DROP DATABASE IF EXISTS {name}_{mark} WITH (FORCE)")
        await admin.close()
