"""The engine's own parts put together: what the composition root and the tests both start."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from databot.agents.base import Agent
from databot.core.answering import Answering
from databot.core.backlog import Backlog, DispatchLimits
from databot.core.bus import MessageBus
from databot.core.dispatcher import Dispatcher
from databot.core.engine import EngineOptions, Machinery, TurnEngine
from databot.core.mirror import MirrorParts, Mirrors
from databot.core.pipeline import PipelineOptions, TurnPipeline
from databot.core.streams import TurnStreams
from databot.core.supervisor import Supervisor
from databot.core.sweeper import Sweeper
from databot.core.worker import TurnWorker
from databot.dispatch.base import Dispatch
from databot.middleware.base import TurnMiddleware
from databot.storage.base import Claims, Inbox, Journal
from databot.types.clock import Clock, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """What an engine is made of. `beats` is the clock its background loops go by, `clock` unless a test holds it."""

    inbox: Inbox
    claims: Claims
    journal: Journal
    agents: Mapping[str, Agent]
    clock: Clock
    ids: Ids
    options: EngineOptions
    dispatch: Dispatch
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)
    limits: DispatchLimits = field(default_factory=DispatchLimits)
    middleware: Sequence[TurnMiddleware] = ()
    beats: Clock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEngine:
    """A started engine, its bus to subscribe to, and the supervisor of its background work."""

    engine: TurnEngine
    bus: MessageBus
    supervisor: Supervisor
    machinery: Machinery


@asynccontextmanager
async def open_engine(parts: EngineParts, *, resume: bool = True) -> AsyncGenerator[RunningEngine]:
    """Start an engine; leaving drains it."""
    async with Supervisor() as supervisor:
        machinery = assemble(parts, supervisor)
        engine = TurnEngine(machinery, parts.options)

        machinery.worker.on_elsewhere = engine.follow_elsewhere
        machinery.worker.on_stuck = engine.tell_stuck
        await engine.start(resume=resume)
        try:
            yield RunningEngine(
                engine=engine, bus=machinery.bus, supervisor=supervisor, machinery=machinery
            )
        finally:
            await engine.stop()


def assemble(parts: EngineParts, supervisor: Supervisor) -> Machinery:
    """The engine's parts, connected."""
    beats = parts.beats or parts.clock
    limits = parts.limits
    bus = MessageBus(
        parts.inbox,
        parts.dispatch,
        parts.ids,
        supervisor,
        most_waiting=limits.max_waiting_per_conversation,
    )
    answering = Answering(
        journal=parts.journal,
        bus=bus,
        clock=parts.clock,
        agents=parts.agents,
        middleware=parts.middleware,
    )
    pipeline = TurnPipeline(parts.claims, answering, bus, parts.clock, options=parts.pipeline)
    backlog = Backlog(limits)
    worker = TurnWorker(parts.claims, pipeline, backlog, beats)
    dispatcher = Dispatcher(
        worker.work, supervisor, max_running=limits.max_running, max_silent=limits.max_silent
    )
    streams = TurnStreams(parts.clock)
    mirrored = MirrorParts(
        streams=streams,
        inbox=parts.inbox,
        dispatch=parts.dispatch,
        clock=beats,
        runs_here=worker.runs,
    )
    return Machinery(
        inbox=parts.inbox,
        bus=bus,
        backlog=backlog,
        dispatcher=dispatcher,
        dispatch=parts.dispatch,
        worker=worker,
        sweeper=Sweeper(parts.inbox, parts.claims, dispatcher, backlog, beats),
        streams=streams,
        mirrors=Mirrors(mirrored, supervisor),
        supervisor=supervisor,
        beats=beats,
        deliver=parts.pipeline.deliver,
    )
