"""Whole turns inside the process: message kept, agent chosen, model asked, answer kept, told. No HTTP, no model to wait for."""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

from benchmarks.figures import Figure, Target, at_least
from benchmarks.measure import Case, Measured, Scale, interleaved
from databot.app.daemon import Databot
from databot.app.gateway import calm_collector
from databot.providers.base import LLMProvider
from databot.providers.streams import ChunkStream
from databot.storage.open import Store
from databot.testing.memory_approvals import MemoryApprovals
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.memory_outbox import MemoryOutbox
from databot.testing.memory_store import MemoryArtifactStore, MemoryKeyValue
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import ChatRequest
from databot.types.clock import SystemClock

SESSIONS = 64
ROUND_TURNS = 10
"""Turns a conversation has before the next round takes new ones."""
ANSWER = "There were 4,711 orders last week."


class Forgetful(ScriptedProvider):
    """A scripted model that keeps no requests: a benchmark asks too many."""

    def chat_stream(self, request: ChatRequest) -> ChunkStream:
        self.requests.clear()
        return super().chat_stream(request)


def scripted() -> LLMProvider:
    return Forgetful(lambda _: ANSWER)


async def in_memory() -> str:
    return "memory"


def memory_store() -> Store:
    """A store that loses everything with the process."""
    clock = SystemClock()
    log = MemoryLog(clock)
    return Store(
        inbox=log,
        claims=MemoryClaims(log),
        journal=log,
        sessions=log,
        artifacts=MemoryArtifactStore(),
        memory=MemoryKeyValue(),
        outbox=MemoryOutbox(clock),
        approvals=MemoryApprovals(log),
        check=in_memory,
    )


@asynccontextmanager
async def bots() -> AsyncGenerator[dict[str, Databot]]:
    """The same databot twice: one keeps everything on the disk, the other in memory."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-"))
        durable = running_databot(provider=scripted(), data_dir=Path(folder))
        volatile = running_databot(provider=scripted(), store=memory_store())
        pair = {
            "durable": await stack.enter_async_context(durable),
            "volatile": await stack.enter_async_context(volatile),
        }
        calm_collector()  # as the gateway does
        yield pair


def turn_cases(bot: Databot, name: str, turns: int, rates: list[float]) -> Case:
    """CPU microseconds a turn, from 64 conversations at once; the clock's rate goes to `rates`."""
    rounds = count()

    async def case() -> float:
        tag = next(rounds)

        async def talk(session: int) -> None:
            for _ in range(turns):
                reply = await bot.ask(
                    "How many orders were there?", session_id=f"{name}{tag}.{session}"
                )
                assert reply.content == ANSWER

        cpu, clock = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for session in range(SESSIONS):
                group.create_task(talk(session))
        rates.append(turns * SESSIONS / (time.perf_counter() - clock))
        return (time.process_time() - cpu) / turns / SESSIONS * 1e6

    return case


async def turns(scale: Scale) -> Sequence[Figure]:
    """A durable turn, beside one that is kept in memory only."""
    each = scale.count(ROUND_TURNS, 2)
    rates: dict[str, list[float]] = {"durable": [], "volatile": []}
    async with bots() as pair:
        cases = {name: turn_cases(bot, name, each, rates[name]) for name, bot in pair.items()}
        for name, case in cases.items():
            await case()
            rates[name].clear()
        found = await interleaved(cases, scale.rounds)
    cost = found.value("durable")
    clock = Measured(rates)
    return [
        Figure(
            row="turns",
            what="durable turns of a core",
            value=1e6 / cost,
            unit="/s",
            baseline=1e6 / found.value("volatile"),
            against="kept in memory",
            ratio=1 / found.ratio("durable", "volatile"),
            target=Target(of="value", least=1_000),
            note=f"{cost:,.0f} us CPU a turn",
        ),
        Figure(
            row="turns",
            what="durable turns by the clock",
            value=clock.value("durable"),
            unit="/s",
            baseline=clock.value("volatile"),
            against="kept in memory",
            ratio=clock.ratio("durable", "volatile"),
            target=at_least(0.7),
            note=f"{max(rates['durable']):,.0f}/s at best",
        ),
    ]
