"""A small house to test the engine in: the in-memory log, a scripted model and tools that are plain functions."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from databot.agents.base import Agent
from databot.core.assembly import EngineParts, RunningEngine, open_engine
from databot.core.backlog import DispatchLimits
from databot.core.base import follow
from databot.core.context import ContextBuilder, Persona
from databot.core.engine import EngineOptions
from databot.core.loop import AgentLoop, FiguresCheck, LoopOptions
from databot.core.pipeline import PipelineOptions
from databot.dispatch.base import Dispatch
from databot.dispatch.memory import MemoryDispatch
from databot.memory.base import ConversationMemory
from databot.middleware.base import TurnMiddleware
from databot.providers.base import LLMProvider
from databot.rag.base import PromptEnricher
from databot.storage.base import Claims, Inbox, Journal
from databot.testing.clock import FakeClock, SequentialIds
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.tools.base import Effect, ToolContext, ToolResult, Toolset
from databot.types.chat import ToolCall, ToolSpec
from databot.types.errors import DatabotError, ToolNotFound
from databot.types.events import StreamEvent, TurnFinished
from databot.types.messages import InboundMessage, OutboundMessage, Principal

Function = Callable[[Mapping[str, Any]], Awaitable[ToolResult]]
SECONDS = 10


@dataclass(slots=True)
class FunctionTools:
    """A toolset of plain functions, with what was called."""

    functions: Mapping[str, Function]
    effects: Mapping[str, Effect] = field(default_factory=dict[str, Effect])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    forbidden: DatabotError | None = None

    def specs(self) -> Sequence[ToolSpec]:
        return [
            ToolSpec(name=name, description=name, parameters={"type": "object"})
            for name in self.functions
        ]

    def effect(self, name: str) -> Effect:
        return self.effects.get(name, Effect.READ)

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        del call, context
        if self.forbidden is not None:
            raise self.forbidden

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        await self.permit(call, context)
        self.calls.append(call)
        if call.name not in self.functions:
            raise ToolNotFound(call.name, list(self.functions))
        return await self.functions[call.name](orjson.loads(call.arguments or "{}"))


async def echo(arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult(content=str(arguments.get("text", "")), summary="echoed")


def make_loop(
    provider: LLMProvider,
    tools: Toolset | None = None,
    *,
    memory: ConversationMemory | None = None,
    enricher: PromptEnricher | None = None,
    check_figures: FiguresCheck | None = None,
    max_iterations: int = 5,
    context_tokens: int = 8_000,
) -> AgentLoop:
    return AgentLoop(
        "general",
        provider,
        tools or FunctionTools({"echo": echo}),
        ContextBuilder(FakeClock(), budget_tokens=context_tokens, memory=memory, enricher=enricher),
        options=LoopOptions(model="scripted", max_iterations=max_iterations),
        persona=Persona(),
        check_figures=check_figures,
    )


def said(
    text: str,
    *,
    chat_id: str = "chat",
    tenant_id: str = "default",
    bot_id: str = "default",
    message_id: str | None = None,
    agent: str | None = None,
) -> InboundMessage:
    return InboundMessage(
        channel="test",
        chat_id=chat_id,
        sender_id="ann",
        content=text,
        principal=Principal(id="ann", tenant_id=tenant_id),
        tenant_id=tenant_id,
        bot_id=bot_id,
        message_id=message_id,
        agent=agent,
    )


@dataclass(frozen=True, slots=True)
class House:
    """A running engine and what stands behind it."""

    running: RunningEngine
    log: MemoryLog

    async def publish(self, message: InboundMessage) -> str:
        return (await self.running.engine.publish(message)).turn_id

    async def events(self, turn_id: str, *, tenant_id: str = "default") -> list[StreamEvent]:
        async with asyncio.timeout(SECONDS):
            return [item.event async for item in follow(self.running.engine, tenant_id, turn_id)]

    async def ask(self, message: InboundMessage) -> list[StreamEvent]:
        return await self.events(await self.publish(message), tenant_id=message.tenant_id)

    async def reply(self, text: str, **place: str) -> OutboundMessage:
        events = await self.ask(said(text, **place))
        replies = [e.message for e in events if isinstance(e, TurnFinished)]
        assert replies, events[-1]
        return replies[0]


@asynccontextmanager
async def open_house(
    agent: Agent,
    *,
    log: MemoryLog | None = None,
    inbox: Inbox | None = None,
    claims: Claims | None = None,
    journal: Journal | None = None,
    limits: DispatchLimits | None = None,
    turn_timeout_s: float = 60,
    drain_s: float = 5,
    middleware: Sequence[TurnMiddleware] = (),
    beats: FakeClock | None = None,
    dispatch: Dispatch | None = None,
) -> AsyncGenerator[House]:
    clock = FakeClock(hurried=True)
    log = log or MemoryLog(clock)
    parts = EngineParts(
        inbox=inbox or log,
        claims=claims or MemoryClaims(log),
        journal=journal or log,
        agents={"default": agent},
        clock=clock,
        ids=SequentialIds(),
        options=EngineOptions(
            bots=lambda _: {"default": frozenset({"general", "sql"})}, drain_s=drain_s
        ),
        pipeline=PipelineOptions(turn_timeout_s=turn_timeout_s),
        limits=limits or DispatchLimits(),
        middleware=middleware,
        beats=beats or FakeClock(),
        dispatch=dispatch or MemoryDispatch(),
    )
    async with open_engine(parts) as running:
        yield House(running, log)
