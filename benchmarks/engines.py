"""Engines to measure what stands before an agent, and the agent that stands for one.

`InstantEngine` accepts everything and does nothing: it measures the gateway alone. `open_lanes` is our own engine over
a real store, with an agent that answers without a model: a message is kept, claimed in its turn, settled and told.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from databot.agents.base import AgentEvent, AgentTurn, Answered, StepRecorded
from databot.core.assembly import EngineParts, open_engine
from databot.core.backlog import DispatchLimits
from databot.core.base import Engine, Wake, Watch
from databot.core.engine import EngineOptions
from databot.core.streams import Ending
from databot.dispatch.memory import MemoryDispatch
from databot.gateway.base import ApprovalDesk, BotInfo, Catalog, GatewayServices
from databot.storage.base import Accepted, ArtifactStore, Inbox, Sessions
from databot.storage.open import Store
from databot.testing.memory_log import MemoryLog
from databot.testing.memory_store import MemoryArtifactStore
from databot.types.chat import ChatMessage, Usage
from databot.types.clock import RandomIds, SystemClock
from databot.types.events import TurnFinished
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage

KEY = "a-key-that-only-benchmarks-use"
MANY = 1_000_000


class InstantEngine:
    """Accepts everything at once and keeps nothing."""

    def __init__(self) -> None:
        self._ids = RandomIds()

    async def publish(self, message: InboundMessage) -> Accepted:
        del message
        return Accepted(turn_id=self._ids.new("turn"), seq=1, duplicate=False)

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        del tenant_id, wake
        return Ending([ended(turn_id)], after)

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        del tenant_id, turn_id


class AtOnce:
    """As much of an `Inbox` as the bus uses: it accepts everything and gives it back in order."""

    def __init__(self) -> None:
        self._waiting: dict[ConversationKey, deque[InboundMessage]] = {}

    async def ingest(
        self, turn_id: str, message: InboundMessage, *, most_waiting: int = MANY
    ) -> Accepted:
        del most_waiting
        self._waiting.setdefault(message.conversation, deque()).append(message)
        return Accepted(turn_id=turn_id, seq=1, duplicate=False)

    def next(self, conversation: ConversationKey) -> tuple[InboundMessage, bool]:
        """The conversation's first message, and whether there is another one."""
        waiting = self._waiting[conversation]
        return waiting.popleft(), bool(waiting)


class AtOnceAgent:
    """An `Agent` that answers without a model; one that is to `hold` never does, and all others wait behind it."""

    name = "default"

    def __init__(self, *, hold: bool) -> None:
        self._hold = hold

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        del turn
        if self._hold:
            await asyncio.Event().wait()
        yield StepRecorded(step=1, messages=(ChatMessage(role="assistant", content="OK"),))
        yield Answered(text="OK", finish_reason="stop", usage=Usage())


@asynccontextmanager
async def open_lanes(store: Store, *, hold: bool = False) -> AsyncGenerator[Engine]:
    """Our engine over a store; with `hold` no turn ever ends."""
    parts = EngineParts(
        inbox=store.inbox,
        claims=store.claims,
        journal=store.journal,
        agents={"default": AtOnceAgent(hold=hold)},
        clock=SystemClock(),
        ids=RandomIds(),
        options=EngineOptions(bots=lambda _: {"default": frozenset()}, drain_s=0.1 if hold else 25),
        dispatch=MemoryDispatch(),
        limits=DispatchLimits(
            max_running=1 if hold else 200, max_waiting_per_conversation=MANY, max_waiting=MANY
        ),
    )
    async with open_engine(parts, resume=not hold) as running:
        yield running.engine


def ended(turn_id: str) -> TurnFinished:
    """The end of a turn nobody worked on."""
    message = OutboundMessage(
        channel="http", chat_id="bench", content="OK", turn_id=turn_id, session_id="bench"
    )
    return TurnFinished(turn_id=turn_id, message=message)


class NothingElse:
    """A catalog with one bot and nothing wired."""

    def bots(self, tenant_id: str) -> Sequence[BotInfo]:
        return [BotInfo(id="default", name="databot", tenant_id=tenant_id)]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a page would list
        del name
        return lambda: ()


def services_of(engine: Engine, inbox: Inbox) -> GatewayServices:
    """The gateway's services over an engine."""
    nothing = NothingElse()
    return GatewayServices(
        engine=engine,
        inbox=inbox,
        sessions=cast("Sessions", MemoryLog(SystemClock())),
        artifacts=cast("ArtifactStore", MemoryArtifactStore()),
        catalog=cast("Catalog", nothing),
        approvals=cast("ApprovalDesk", nothing),
    )
