"""Approvals through the real daemon: killed while a call waits, decided on after a restart, made exactly once."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Answer, Say
from databot.types.chat import ToolCall
from tests.flows.daemon import Daemon, run_databot, running_gateway, write_config
from tests.plugins.site import Site

SECONDS = 30
WEEK = 7 * 24 * 3600 * 1_000_000
PLUGIN = """
import os
from pathlib import Path

from pydantic import BaseModel

from databot import BaseTool
from databot.tools.base import ToolResult


class Arguments(BaseModel):
    table: str


class Drop(BaseTool):
    name = "drop"
    description = "Drop a table for good."
    Arguments = Arguments

    async def run(self, arguments, context):
        with Path(os.environ["DROPPED"]).open("a") as file:
            file.write(arguments.table + "\\n")
        return ToolResult(content="dropped " + arguments.table)
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A configuration with a tool that needs a person, and a model that asks for it."""

    config: Path
    folder: Path
    model: ModelServer

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder / "site"), "DROPPED": str(self.folder / "dropped")}

    @property
    def dropped(self) -> list[str]:
        file = self.folder / "dropped"
        return file.read_text().splitlines() if file.exists() else []

    def running(self) -> Any:  # noqa: ANN401 - a context manager of `Daemon`
        return running_gateway(self.config, **self.environment)

    def told(self) -> str:
        """What the tool gave, as the model was told last."""
        messages = self.model.requests[-1].body["messages"]
        return next(m["content"] for m in reversed(messages) if m["role"] == "tool")

    def age(self, microseconds: int) -> None:
        """Let the questions and their turns be that much older."""
        with closing(sqlite3.connect(self.folder / "data" / "databot.db")) as database:
            database.execute(
                "UPDATE approval SET requested_at = requested_at - ?, expires_at = expires_at - ?",
                (microseconds, microseconds),
            )
            database.execute(
                "UPDATE inbox SET accepted_at = accepted_at - ?, begun_at = begun_at - ?",
                (microseconds, microseconds),
            )
            database.commit()


def drops(body: Mapping[str, Any]) -> Answer:
    """`drop …` asks for the tool; its result, and anything else, is answered."""
    last = body["messages"][-1]
    if last["role"] == "user" and "drop" in str(last["content"]):
        return Say(calls=(ToolCall(id="c1", name="drop", arguments='{"table": "orders"}'),))
    return Say(text="All done.")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncGenerator[Shop]:
    (tmp_path / "site").mkdir()
    Site(tmp_path / "site").install("drop-tool", "drop_tool", PLUGIN, drop="Drop")
    async with ModelServer() as model:
        model.always(drops)
        config = write_config(
            tmp_path,
            llm={"model": "openai/m", "api_base": model.url, "api_key": "k"},
            agents={"enabled": False},
            agent={"approval_required": ["drop"]},
        )
        yield Shop(config, tmp_path, model)


async def asked(daemon: Daemon, session: str = "s") -> dict[str, Any]:
    """A call that waits; gives its approval."""
    body = {"message": "drop the orders", "session_id": session}
    status, answer = await daemon.post("/api/v1/chat", body)
    assert (status, answer["state"]) == (202, "waiting"), answer
    (approval,) = answer["approvals"]
    assert (approval["tool"], approval["arguments"]) == ("drop", {"table": "orders"})
    return approval


async def decide(daemon: Daemon, approval: Mapping[str, Any], decision: str, **rest: str) -> None:
    path = f"/api/v1/approvals/{approval['id']}"
    status, answer = await daemon.post(path, {"decision": decision, **rest})
    assert status == 200, answer


async def ended(daemon: Daemon, turn_id: str) -> dict[str, Any]:
    """The turn, when it has ended."""
    async with asyncio.timeout(SECONDS):
        async for _ in daemon.events(f"/api/v1/turns/{turn_id}/events"):
            pass
    return (await daemon.get(f"/api/v1/turns/{turn_id}"))[1]


async def test_a_call_that_waited_through_a_kill_is_made_once_and_answered(shop: Shop) -> None:
    async with shop.running() as daemon:
        approval = await asked(daemon)
        daemon.kill()
    async with shop.running() as daemon:
        _, listed = await daemon.get("/api/v1/approvals")
        assert listed["approvals"] == [approval]
        _, turn = await daemon.get(f"/api/v1/turns/{approval['turn_id']}")
        assert turn["state"] == "waiting"
        assert shop.dropped == []
        await decide(daemon, approval, "approve")
        turn = await ended(daemon, approval["turn_id"])
        assert (turn["state"], turn["reply"]) == ("done", "All done.")
    assert shop.dropped == ["orders"]
    async with shop.running() as daemon:  # nothing of it is done again
        assert (await daemon.ask("hello"))["reply"] == "All done."
    assert shop.dropped == ["orders"]


async def test_a_reader_from_before_the_kill_is_told_the_rest_by_its_last_event(
    shop: Shop,
) -> None:
    async with shop.running() as daemon:
        approval = await asked(daemon)
        path = f"/api/v1/turns/{approval['turn_id']}/events"
        last = ""
        async for event in daemon.events(path):
            last = event.id
            if event.name == "approval_requested":
                break
        daemon.kill()
    async with shop.running() as daemon, asyncio.timeout(SECONDS):
        names: list[str] = []
        async for event in daemon.events(f"{path}?after={last}"):
            names.append(event.name)
            if event.name == "approval_requested":
                assert event.data["approval_id"] == approval["id"]
                await decide(daemon, approval, "approve")
    assert names[0] == "approval_requested"
    assert "turn_restarted" in names
    assert names[-1] == "turn_finished"


async def test_an_answer_given_days_later_counts(shop: Shop) -> None:
    async with shop.running() as daemon:
        approval = await asked(daemon)
        daemon.kill()
    shop.age(6 * WEEK // 7)
    async with shop.running() as daemon:
        await decide(daemon, approval, "approve")
        assert (await ended(daemon, approval["turn_id"]))["state"] == "done"
    assert shop.dropped == ["orders"]


async def test_an_answer_given_too_late_does_not(shop: Shop) -> None:
    async with shop.running() as daemon:
        approval = await asked(daemon)
        daemon.kill()
    shop.age(8 * WEEK // 7)
    async with shop.running() as daemon:
        assert (await daemon.get("/api/v1/approvals"))[1] == {"approvals": []}
        path = f"/api/v1/approvals/{approval['id']}"
        status, answer = await daemon.post(path, {"decision": "approve"})
        assert (status, answer["error"]["type"]) == (409, "conflict")
        turn = await ended(daemon, approval["turn_id"])
    assert (turn["state"], turn["reply"]) == ("done", "All done.")
    assert "nobody decided in time" in shop.told()
    assert shop.dropped == []


async def test_a_denied_call_is_not_made_and_the_model_is_told(shop: Shop) -> None:
    async with shop.running() as daemon:
        approval = await asked(daemon)
        assert (await daemon.ask("hello"))["reply"] == "All done."  # in the same conversation
        await decide(daemon, approval, "deny", note="not on a Friday")
        assert (await ended(daemon, approval["turn_id"]))["state"] == "done"
    assert "a person denied it, with the words: not on a Friday" in shop.told()
    assert shop.dropped == []


async def test_a_question_asked_on_the_terminal_is_answered_by_a_command(shop: Shop) -> None:
    arguments = ("--config", str(shop.config))
    env = shop.environment
    status, out, err = await run_databot("chat", *arguments, "-m", "drop the orders", **env)
    assert (status, out) == (1, "")
    assert '"table": "orders"' in err
    status, out, err = await run_databot("approvals", "list", *arguments, **env)
    assert status == 0, err
    (name,) = [word for word in out.split() if word.startswith("apr_")]
    async with shop.running() as daemon:
        _, listed = await daemon.get("/api/v1/approvals")
        turn_id = listed["approvals"][0]["turn_id"]
        status, out, err = await run_databot("approvals", "approve", name, *arguments, **env)
        assert status == 0, err
        assert (await ended(daemon, turn_id))["state"] == "done"
        status, _, err = await run_databot("approvals", "deny", name, *arguments, **env)
        assert status == 1
        assert "approved before" in err
    assert shop.dropped == ["orders"]
