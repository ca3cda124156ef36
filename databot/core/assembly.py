"""The engine's own parts put together: what the composition root and the tests both start."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from databot.agents.base import Agent
from databot.core.bus import MessageBus
from databot.core.dispatcher import Dispatcher, DispatchLimits, Waiting
from databot.core.engine import EngineOptions, TurnEngine
from databot.core.pipeline import PipelineOptions, TurnPipeline
from databot.core.streams import TurnStreams
from databot.core.supervisor import Supervisor
from databot.middleware.base import TurnMiddleware
from databot.storage.base import Inbox, Journal
from databot.types.clock import Clock, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What an engine is made of."""

    inbox: Inbox
    journal: Journal
    agents: Mapping[str, Agent]
    clock: Clock
    ids: Ids
    options: EngineOptions
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)
    limits: DispatchLimits = field(default_factory=DispatchLimits)
    middleware: Sequence[TurnMiddleware] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEngine:
    """A started engine, its bus to subscribe to, and the supervisor of its background work."""

    engine: TurnEngine
    bus: MessageBus
    supervisor: Supervisor


@asynccontextmanager
async def open_engine(parts: EngineParts, *, resume: bool = True) -> AsyncGenerator[RunningEngine]:
    """Start an engine; leaving drains it."""
    async with Supervisor() as supervisor:
        bus = MessageBus(parts.inbox, parts.clock, parts.ids, supervisor)
        pipeline = TurnPipeline(
            parts.inbox,
            parts.journal,
            bus,
            parts.clock,
            parts.agents,
            middleware=parts.middleware,
            options=parts.pipeline,
        )

        async def work(waiting: Waiting) -> None:
            await pipeline.run(waiting.turn, resumed=waiting.resumed)

        dispatcher = Dispatcher(work, supervisor, parts.limits)
        engine = TurnEngine(
            parts.inbox,
            bus,
            dispatcher,
            pipeline,
            TurnStreams(parts.clock),
            supervisor,
            parts.options,
        )
        await engine.start(resume=resume)
        try:
            yield RunningEngine(engine=engine, bus=bus, supervisor=supervisor)
        finally:
            await engine.stop()
