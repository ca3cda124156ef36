"""Deleting a conversation that is at work: it stops, and nothing of it is left."""

import asyncio
import sqlite3
from pathlib import Path

from databot.app.daemon import Databot
from databot.core.base import follow
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider, calling
from databot.types.events import StreamEvent, TurnFailed, TurnFinished
from databot.types.messages import LOCAL_PRINCIPAL, InboundMessage
from tests.app.serving import served


async def send(bot: Databot, text: str, session: str = "s") -> str:
    message = InboundMessage(
        channel="http",
        chat_id=session,
        sender_id="ann",
        content=text,
        principal=LOCAL_PRINCIPAL,
    )
    return (await bot.publish(message)).turn_id


async def until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await condition.wait()


class Held:
    """A model that is held in its first answer."""

    def __init__(self) -> None:
        self.asked, self.free = asyncio.Event(), asyncio.Event()
        export = calling("export", '{"sql": "SELECT * FROM t", "format": "csv"}')
        self.provider = ScriptedProvider([export, "done", "more"], pause=self._pause)

    async def _pause(self) -> None:
        self.asked.set()
        await self.free.wait()


async def test_deleting_a_conversation_stops_its_turns_and_leaves_no_file(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE t (id INTEGER)")
    db.close()
    settings = {"connectors": {"a": {"type": "sql", "url": f"sqlite:///{tmp_path}/a.db"}}}
    held = Held()
    async with (
        running_databot(settings, provider=held.provider, data_dir=tmp_path / "data") as bot,
        served(bot.services, bot.settings) as (caller,),
    ):
        running, waiting = await send(bot, "export it"), await send(bot, "a secret question")
        other = await send(bot, "something else", session="other")
        await until(held.asked)
        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(last_event(bot, turn)) for turn in (running, waiting)]
            assert (await caller.call("DELETE", "/api/v1/sessions/s"))[0] == 204
        held.free.set()
        assert isinstance(await last_event(bot, other), TurnFinished)
        assert (await caller.call("DELETE", "/api/v1/sessions/s"))[0] == 404
        assert (await caller.call("GET", f"/api/v1/turns/{waiting}"))[0] == 404
    told = [end.result() for end in ends]
    assert [isinstance(end, TurnFailed) and end.error for end in told] == ["cancelled"] * 2
    asked = [message.content for one in held.provider.requests for message in one.messages]
    assert not any("secret" in text for text in asked)
    assert [file for file in (tmp_path / "data" / "artifacts").rglob("*") if file.is_file()] == []


async def last_event(bot: Databot, turn_id: str) -> StreamEvent | None:
    event: StreamEvent | None = None
    async with asyncio.timeout(20):
        async for item in follow(bot.engine, "default", turn_id):
            event = item.event
    return event


async def test_a_conversation_whose_turn_nobody_can_stop_is_deleted_all_the_same(
    tmp_path: Path,
) -> None:
    """As when the terminal deletes what a running gateway is answering."""
    held = Held()
    settings = {"data_dir": str(tmp_path)}
    async with running_databot(settings, provider=held.provider, data_dir=tmp_path) as gateway:
        await send(gateway, "hello")
        await until(held.asked)
        async with running_databot(settings, data_dir=tmp_path, background=False) as terminal:
            key = await terminal.sessions.find("default", "s")
            assert key is not None
            async with asyncio.timeout(20):
                assert await terminal.sessions.delete(key)
                assert not await terminal.sessions.delete(key)
        held.free.set()
