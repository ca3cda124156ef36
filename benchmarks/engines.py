"""Engines with no agent behind them, to measure what stands before one.

`InstantEngine` accepts everything and does nothing: it measures the gateway alone. `LaneEngine` is our own bus and
dispatcher over a real store: a message is kept, takes its place in its conversation's lane, and its turn ends there.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, cast

from databot.core.base import Engine, Wake, Watch
from databot.core.bus import Happened, MessageBus
from databot.core.dispatcher import Dispatcher, DispatchLimits, Waiting
from databot.core.streams import Ending, TurnStreams
from databot.core.supervisor import Supervisor
from databot.gateway.base import ApprovalDesk, BotInfo, Catalog, GatewayServices
from databot.storage.base import Accepted, ArtifactStore, Inbox, Sessions
from databot.testing.memory_log import MemoryLog
from databot.testing.memory_store import MemoryArtifactStore
from databot.types.clock import RandomIds, SystemClock
from databot.types.events import TurnFinished
from databot.types.messages import InboundMessage, OutboundMessage

KEY = "a-key-that-only-benchmarks-use"
ROOMY = DispatchLimits(max_waiting_per_conversation=1_000_000, max_waiting=1_000_000)


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
    """As much of an `Inbox` as the bus uses: it accepts everything and keeps nothing."""

    async def ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
        del message
        return Accepted(turn_id=turn_id, seq=1, duplicate=False)


class LaneEngine:
    """Implements `Engine`: every accepted turn ends with a short reply as soon as its lane comes to it.

    With `hold` it never ends, and those behind it in its lane wait.
    """

    def __init__(self, inbox: Inbox, supervisor: Supervisor, *, hold: bool) -> None:
        self._hold = hold
        self._streams = TurnStreams()
        self._dispatcher = Dispatcher(self._work, supervisor, ROOMY)
        self._bus = MessageBus(inbox, SystemClock(), RandomIds(), supervisor)
        self._bus.subscribe(self._to_stream)
        self._bus.consume(self._dispatcher.submit)

    @classmethod
    @asynccontextmanager
    async def over(cls, inbox: Inbox, *, hold: bool = False) -> AsyncGenerator[Self]:
        """Over a real inbox."""
        async with Supervisor() as supervisor:
            yield cls(inbox, supervisor, hold=hold)

    async def publish(self, message: InboundMessage) -> Accepted:
        with self._dispatcher.reserve(message):
            return await self._bus.publish(message)

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        return self._streams.open(tenant_id, turn_id).watch(wake, after)

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        del tenant_id, turn_id

    def _to_stream(self, happened: Happened) -> None:
        self._streams.add(happened.turn.message.tenant_id, happened.turn.id, happened.event)

    async def _work(self, waiting: Waiting) -> None:
        if self._hold:
            await asyncio.Event().wait()
        self._bus.emit(waiting.turn, ended(waiting.turn.id))


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
