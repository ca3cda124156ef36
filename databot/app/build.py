"""The composition root: every part of a databot built and wired, in the order they need each other.

Nothing else in the package wires rooms together. Leaving the `async with` closes everything in the opposite order.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypedDict, Unpack

from databot.app.agents import BotAgents, Mind, build_agents
from databot.app.approvals import Decisions
from databot.app.background import Background
from databot.app.catalog import AppCatalog, Wired
from databot.app.daemon import Databot
from databot.app.data_dir import make_data_dir
from databot.app.doors import (
    build_hub,
    build_middleware,
    connect_logs,
    deliver_to,
)
from databot.app.memories import build_loaders, build_memory
from databot.app.mistakes import refuse_mistakes
from databot.app.models import ModelChoice, build_provider, load_litellm
from databot.app.sources import build_connectors, load_all_plugins
from databot.app.tenants import bot_parts, tenants_of
from databot.app.toolsets import build_tools
from databot.app.traced import traced_connectors, traced_enricher, traced_provider, traced_tools
from databot.app.versions import versions_of
from databot.channels.base import BaseChannel
from databot.channels.hub import ChannelHub
from databot.config.settings import Settings
from databot.connectors.base import Connectors
from databot.core.assembly import EngineParts, RunningEngine, open_engine
from databot.core.engine import EngineOptions
from databot.core.pipeline import PipelineOptions
from databot.dispatch.base import Dispatch
from databot.dispatch.memory import MemoryDispatch
from databot.dispatch.open import complete, open_dispatch
from databot.jobs.worker import JobWorker
from databot.middleware.base import TurnMiddleware
from databot.plugins.loader import Plugins
from databot.providers.base import LLMProvider
from databot.rag.base import Chunk
from databot.rag.build import RAG, RagExtras, open_rag
from databot.storage.open import Store, open_store
from databot.tools.approvals import StoreApprover
from databot.tools.base import ToolServices, Toolset
from databot.types.clock import Clock, Ids, RandomIds, SystemClock
from databot.types.messages import DEFAULT_BOT, Turn

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)


class Overrides(TypedDict, total=False):
    """Parts that a caller brings along instead of having them built.

    `exclusive` is for the one daemon of a store: it refuses a second one, and goes on with unfinished turns.
    `background=False` is for a command that only looks: no channel runs, nothing is indexed or warmed up beside it.
    """

    provider: LLMProvider
    store: Store
    clock: Clock
    ids: Ids
    channels: Mapping[str, BaseChannel]
    exclusive: bool
    background: bool


@asynccontextmanager
async def build(settings: Settings, **overrides: Unpack[Overrides]) -> AsyncGenerator[Databot]:
    """A running databot.

    Raises `ConfigError` when the configuration cannot be used and `StorageUnavailable` when the store cannot be
    opened. A connector that is down, a plugin that is broken or missing embedding weights do not stop it.
    """
    unknown = set(overrides) - set(Overrides.__annotations__)
    if unknown:
        raise TypeError(f"build() has no part named {', '.join(sorted(unknown))}")
    async with AsyncExitStack() as stack:
        yield await Builder(settings, overrides, stack).build()


class Builder:
    """Builds the parts one after another; what has to be closed goes on the stack."""

    def __init__(self, settings: Settings, overrides: Overrides, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._overrides = overrides
        self._stack = stack
        self._clock = overrides.get("clock") or SystemClock()
        self._ids = overrides.get("ids") or RandomIds()

    async def build(self) -> Databot:
        settings = self._settings
        plugins = load_all_plugins(settings)
        refuse_mistakes(settings, plugins)
        make_data_dir(settings.data_dir)
        tracer = await self._tracer()
        store = await self._store()
        registry = build_connectors(settings, plugins)
        self._stack.push_async_callback(registry.aclose)
        connectors = traced_connectors(registry, tracer)
        provider, choice = await self._provider(plugins)
        rag = await self._rag(connectors, plugins)
        mind = Mind(
            provider=traced_provider(provider, tracer),
            model=choice.model,
            deterministic=choice.deterministic,
            clock=self._clock,
            memory=build_memory(settings, plugins, store.journal),
            enricher=traced_enricher(rag, tracer),
        )
        tools = self._tools(plugins, connectors, store, tracer)
        agents = {
            bot_id: build_agents(settings, bot, tools[bot_id], mind)
            for bot_id, bot in settings.bots.items()
        }
        hub = build_hub(settings, plugins, self._clock, self._overrides.get("channels"))
        dispatch = await self._dispatch()
        wired = Wired(
            hub=hub,
            plugins=plugins,
            connectors=registry,
            store=store,
            dispatch=dispatch,
            rag=rag,
            choice=choice,
        )
        catalog = AppCatalog(bot_parts(settings, agents, tools), wired)
        middleware = build_middleware(settings, plugins, tracer)
        running = await self._engine(store, dispatch, agents, catalog, middleware, hub)
        jobs = await self._start_background(running, hub, store, rag, provider)
        return Databot(
            settings=settings,
            engine=running.engine,
            bus=running.bus,
            machinery=running.machinery,
            store=store,
            connectors=registry,
            plugins=plugins,
            provider=provider,
            choice=choice,
            tools=tools.get(DEFAULT_BOT) or next(iter(tools.values())),
            rag=rag,
            catalog=catalog,
            approvals=Decisions(store.approvals, running.engine.go_on),
            jobs=jobs,
            dispatch=dispatch,
            ids=self._ids,
            agents={bot_id: item.agent for bot_id, item in agents.items()},
            tracer=tracer,
        )

    async def _tracer(self) -> "Tracer | None":
        endpoint = self._settings.observability.otlp_endpoint
        if not endpoint:
            return None
        from databot.observability.tracing import open_tracer
        from databot.types.version import version

        return await self._stack.enter_async_context(open_tracer(endpoint, version=version()))

    async def _store(self) -> Store:
        if "store" in self._overrides:
            return self._overrides["store"]
        opened = open_store(
            self._settings.storage_url(),
            self._settings.data_dir,
            self._clock,
            self._ids,
            exclusive=self._overrides.get("exclusive", False),
            lease_s=self._settings.dispatch.lease_s,
            versions=versions_of(self._settings),
        )
        return await self._stack.enter_async_context(opened)

    async def _dispatch(self) -> Dispatch:
        """The engine between replicas, for one of them; a session beside them answers what it was asked itself."""
        if not self._overrides.get("exclusive", False):
            return MemoryDispatch()
        url = complete(self._settings.dispatch.url.get_secret_value(), self._settings.storage_url())
        opened = open_dispatch(url, self._clock, self._ids)
        return await self._stack.enter_async_context(opened)

    async def _provider(self, plugins: Plugins) -> tuple[LLMProvider, ModelChoice]:
        if "provider" in self._overrides:
            provider = self._overrides["provider"]
            return provider, ModelChoice(model=provider.name, reason="given by the caller")
        provider, choice = await build_provider(self._settings, plugins, self._clock)
        self._stack.push_async_callback(provider.aclose)
        return provider, choice

    async def _rag(self, connectors: Connectors, plugins: Plugins) -> RAG | None:
        section = self._settings.rag
        if not section.enabled:
            return None
        opened = open_rag(
            self._settings.data_dir,
            embedding=section.embedding,
            chroma_url=section.chroma,
            top_k=section.top_k,
            sources=[path.expanduser() for path in section.sources],
            connectors=connectors,
            clock=self._clock,
            extras=RagExtras(
                tenants=tenants_of(self._settings),
                loaders=build_loaders(plugins),
                allow=self._may_see,
                embedding_api_base=section.api_base,
                embedding_api_key=section.api_key.get_secret_value(),
                load_litellm=load_litellm,
            ),
        )
        return await self._stack.enter_async_context(opened)

    def _may_see(self, turn: Turn, chunk: Chunk) -> bool:
        """Whether the turn's bot may be told of this passage: schemas only of its own connectors."""
        bot = self._settings.bots.get(turn.message.bot_id)
        if chunk.kind != "schema" or bot is None or not bot.connectors:
            return True
        return chunk.source.partition("/")[0] in bot.connectors

    def _tools(
        self, plugins: Plugins, connectors: Connectors, store: Store, tracer: "Tracer | None"
    ) -> dict[str, Toolset]:
        services = ToolServices(
            connectors=connectors, artifacts=store.artifacts, memory=store.memory, clock=self._clock
        )
        approver = StoreApprover(store.approvals)
        return {
            bot_id: traced_tools(
                build_tools(self._settings, bot, plugins, services, approver), tracer
            )
            for bot_id, bot in self._settings.bots.items()
        }

    async def _engine(
        self,
        store: Store,
        dispatch: Dispatch,
        agents: Mapping[str, BotAgents],
        catalog: AppCatalog,
        middleware: list[TurnMiddleware],
        hub: ChannelHub,
    ) -> RunningEngine:
        section = self._settings.agent
        parts = EngineParts(
            inbox=store.inbox,
            claims=store.claims,
            journal=store.journal,
            agents={bot_id: item.agent for bot_id, item in agents.items()},
            clock=self._clock,
            ids=self._ids,
            options=EngineOptions(
                bots=catalog.forcible,
                inactive=frozenset(
                    info.name for item in agents.values() for info in item.infos if not info.active
                ),
                lease_s=self._settings.dispatch.lease_s,
            ),
            pipeline=PipelineOptions(
                turn_timeout_s=section.turn_timeout_s, deliver=deliver_to(hub)
            ),
            middleware=middleware,
            dispatch=dispatch,
        )
        resume = self._overrides.get("exclusive", False)
        running = await self._stack.enter_async_context(open_engine(parts, resume=resume))
        connect_logs(running)
        return running

    async def _start_background(
        self,
        running: RunningEngine,
        hub: ChannelHub,
        store: Store,
        rag: RAG | None,
        provider: LLMProvider,
    ) -> JobWorker | None:
        if not self._overrides.get("background", True):
            return None
        return await Background(
            settings=self._settings,
            running=running,
            store=store,
            hub=hub,
            rag=rag,
            provider=provider,
            clock=self._clock,
            ids=self._ids,
            daemon=self._overrides.get("exclusive", False),
        ).start(self._stack)
