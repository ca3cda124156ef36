"""A databot that goes through the script: the real engine, store, outbox and approvals, put together as the daemon's.

It begins where the run before it was ended, and ends when both questions are answered and both replies are sent.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from databot.app.approvals import Decisions
from databot.app.doors import connect_channels, deliver_to
from databot.channels.hub import ChannelHub
from databot.core.assembly import EngineParts, RunningEngine, open_engine
from databot.core.bus import Happened
from databot.core.context import ContextBuilder, Persona
from databot.core.engine import EngineOptions
from databot.core.loop import AgentLoop, LoopOptions
from databot.core.pipeline import PipelineOptions
from databot.dispatch.memory import MemoryDispatch
from databot.memory.buffer import BufferMemory
from databot.storage.base import Worker
from databot.storage.open import Store, build_store
from databot.tools.approvals import StoreApprover
from databot.tools.guards import ApprovalRequired
from databot.tools.registry import ToolRegistry
from databot.types.clock import Clock, SystemClock
from databot.types.errors import StorageError
from databot.types.events import ApprovalRequested
from tests.proof.databases import Watcher, open_watched
from tests.proof.faults import Faulty
from tests.proof.points import Points
from tests.proof.record import Record
from tests.proof.script import (
    CHANNEL,
    CONVERSATION,
    GUARDED,
    PERSON,
    QUESTIONS,
    Desk,
    Drop,
    Look,
    Model,
    Post,
    Put,
)
from tests.proof.seams import watched

LEASE_S = 10.0
RENEW_EVERY_S = 0.02
LONGEST_S = 20.0
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run: in which database and folder, the how many-th it is there, and what is to go wrong in it.

    `speed` is how many seconds pass in one, for those who wait by the clock.
    """

    url: str
    folder: str
    run: int = 1
    die_at: str | None = None
    fail_at: int = 0
    fault: str = ""
    speed: int = 1


class FastClock:
    """A clock on which `speed` seconds pass in one; of all processes of the machine the same."""

    def __init__(self, speed: int) -> None:
        self._speed = speed
        self._real = SystemClock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._real.monotonic() * self._speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


class RunIds:
    """Ids that count, and that no two runs share."""

    def __init__(self, run: int) -> None:
        self._run = run
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._run:02d}{self._count:06d}"


class House:
    """The parts of one run."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.points = Points(order.die_at)
        self.clock: Clock = FastClock(order.speed) if order.speed > 1 else SystemClock()
        self.ids = RunIds(order.run)
        self.record = Record(Path(order.folder) / "record", order.run)
        self.progress = asyncio.Event()
        self.renewed = asyncio.Event()
        self.faulty = Faulty(order.fail_at, order.fault, postgres=not is_sqlite(order.url))
        self.points.on_progress = self._on_progress

    def _on_progress(self) -> None:
        self.progress.set()
        if any(name.startswith("renew") for name in self.points.reached):
            self.renewed.set()

    @property
    def watcher(self) -> Watcher:
        return self.points if self.order.die_at or self.order.speed == 1 else self.faulty

    @asynccontextmanager
    async def store(self) -> AsyncGenerator[Store]:
        order = self.order
        name = "daemon" if is_sqlite(order.url) else self.ids.new("worker")
        async with open_watched(order.url, self.watcher) as database:
            worker = Worker(name=name, ttl_s=LEASE_S)
            store = build_store(database, Path(order.folder), self.clock, self.ids, worker)
            yield watched(store, self.points)

    def parts(self, store: Store, hub: ChannelHub) -> EngineParts:
        given = self.record, self.points
        tools = [Look(*given, self.renewed), Put(*given), Post(*given), Drop(*given)]
        loop = AgentLoop(
            "general",
            Model(*given),
            ApprovalRequired(
                ToolRegistry(tools), frozenset({GUARDED}), StoreApprover(store.approvals)
            ),
            ContextBuilder(
                self.clock, budget_tokens=8_000, memory=BufferMemory(store.journal, turns=10)
            ),
            options=LoopOptions(model="scripted"),
            persona=Persona(),
        )
        return EngineParts(
            inbox=store.inbox,
            claims=store.claims,
            journal=store.journal,
            agents={"default": loop},
            clock=self.clock,
            ids=self.ids,
            options=EngineOptions(
                bots=lambda _: {"default": frozenset({"general"})},
                lease_s=RENEW_EVERY_S * 3 * self.order.speed,
            ),
            pipeline=PipelineOptions(deliver=deliver_to(hub)),
            dispatch=MemoryDispatch(),
        )

    async def run(self) -> None:
        """Go through the script, and write down how it ended."""
        async with self.store() as store:
            hub = ChannelHub({CHANNEL: Desk(self.record, self.points, self.clock)}, self.clock)
            async with open_engine(self.parts(store, hub)) as running:
                name = self.ids.new("worker")
                connect_channels(running, hub, store.outbox, self.clock, worker=name)
                running.supervisor.spawn(self._decide(running, store), name="person")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST_S):
                        await self._until_done(store)
                self.faulty.rest()
            report = await self._report(store)
        (Path(self.order.folder) / f"report-{self.order.run}").write_bytes(orjson.dumps(report))
        self.record.close()

    async def _decide(self, running: RunningEngine, store: Store) -> None:
        """The person who is asked: approves what waits, whenever something does."""
        news = asyncio.Event()

        def heed(happened: Happened) -> None:
            if isinstance(happened.event, ApprovalRequested):
                news.set()

        running.bus.subscribe(heed)
        desk = Decisions(store.approvals, running.engine.go_on)
        while True:
            news.clear()
            try:
                for item in await desk.pending(PERSON):
                    self.record.add("approves", "q2", what=item.tool)
                    await desk.decide(PERSON, item.id, "approve")
            except StorageError:
                await self.clock.sleep(1)
                continue
            await news.wait()

    async def _until_done(self, store: Store) -> None:
        while not await self._is_done(store):
            self.progress.clear()
            with suppress(TimeoutError):  # the last write of all is nobody's call
                async with asyncio.timeout(0.2):
                    await self.progress.wait()

    async def _is_done(self, store: Store) -> bool:
        lines = self.record.lines
        if {line.of for line in lines("sent")} != set(QUESTIONS) or len(
            {line.of for line in lines("acknowledged")}
        ) != len(QUESTIONS):
            return False
        try:
            backlog = await store.outbox.backlog()
            waiting = sum(each.waiting for each in backlog.values())
            return not waiting and not await store.inbox.open_turns(CONVERSATION)
        except StorageError:
            return False

    async def _report(self, store: Store) -> Mapping[str, Any]:
        """What the store holds in the end, through its own doors."""
        said = await store.sessions.messages(CONVERSATION)
        turns = list(dict.fromkeys(each.turn_id for each in said if each.turn_id))
        backlog = await store.outbox.backlog()
        return {
            "reached": list(self.points.reached),
            "statements": self.faulty.count,
            "struck": self.faulty.struck,
            "said": [[each.role, each.content, each.turn_id] for each in said],
            "turns": [await self._turn(store, turn_id) for turn_id in turns],
            "waiting": sum(each.waiting for each in backlog.values()),
            "dead": sum(each.dead for each in backlog.values()),
        }

    async def _turn(self, store: Store, turn_id: str) -> Mapping[str, Any]:
        record = await store.inbox.turn("default", turn_id)
        assert record is not None
        steps = await store.journal.steps(turn_id)
        return {
            "id": turn_id,
            "question": record.message.content,
            "state": record.state,
            "reply": record.reply.content if record.reply else None,
            "steps": [step.step for step in steps],
            "results": [
                [message.name, message.content]
                for step in steps
                for message in step.messages
                if message.role == "tool"
            ],
        }


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")
