"""A built databot: its doors, and its parts for those who want them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from databot.agents.base import Agent
from databot.app.catalog import AppCatalog
from databot.app.conversations import LiveSessions
from databot.app.figures import DaemonFigures
from databot.app.models import ModelChoice
from databot.config.settings import Settings
from databot.connectors.registry import ConnectorRegistry
from databot.core.base import follow
from databot.core.bus import MessageBus
from databot.core.engine import Machinery, TurnEngine
from databot.dispatch.base import Dispatch
from databot.gateway.base import ApprovalDesk, GatewayServices
from databot.jobs.announced import AnnouncedJobs
from databot.jobs.desk import WorkDesk
from databot.jobs.worker import JobWorker
from databot.memory.base import KeyValueMemory
from databot.plugins.loader import Plugins
from databot.providers.base import LLMProvider
from databot.rag.build import RAG
from databot.storage.base import Accepted, ArtifactStore, Inbox, Journal, Sessions
from databot.storage.open import Store
from databot.tools.base import Toolset
from databot.types.clock import Ids
from databot.types.errors import DatabotError
from databot.types.events import StreamEvent, TurnFailed, TurnFinished
from databot.types.messages import (
    DEFAULT_BOT,
    LOCAL_PRINCIPAL,
    InboundMessage,
    OutboundMessage,
    Principal,
)
from databot.types.repeats import check_repeated

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


class TurnNotAnswered(DatabotError):
    """A turn ended without an answer; `type` is what its terminal event says."""

    def __init__(self, failed: TurnFailed) -> None:
        super().__init__(failed.reason)
        self.type = failed.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Databot:
    """Everything that is wired, running until the `async with build(…)` that made it is left."""

    settings: Settings
    engine: TurnEngine
    bus: MessageBus
    machinery: Machinery
    """What the engine runs on; for figures, not for doors."""
    store: Store
    connectors: ConnectorRegistry
    plugins: Plugins
    provider: LLMProvider
    choice: ModelChoice
    tools: Toolset
    rag: RAG | None
    catalog: AppCatalog
    approvals: ApprovalDesk
    """Where people decide on tool calls that wait for them."""
    jobs: JobWorker | None
    """Who does background work here; `None` for a command that only looks."""
    dispatch: Dispatch
    ids: Ids
    agents: Mapping[str, Agent]
    """Who answers, by bot."""
    tracer: "Tracer | None"
    """Where spans go; `None` without a collector."""

    @property
    def inbox(self) -> Inbox:
        return self.store.inbox

    @property
    def journal(self) -> Journal:
        return self.store.journal

    @property
    def sessions(self) -> Sessions:
        return LiveSessions(self.store.sessions, self.store.inbox, self.engine)

    @property
    def artifacts(self) -> ArtifactStore:
        return self.store.artifacts

    @property
    def memory(self) -> KeyValueMemory:
        return self.store.memory

    @property
    def services(self) -> GatewayServices:
        """What the gateway is built from."""
        return GatewayServices(
            engine=self.engine,
            inbox=self.inbox,
            sessions=self.sessions,
            artifacts=self.artifacts,
            catalog=self.catalog,
            approvals=self.approvals,
            desk=self.desk,
            figures=DaemonFigures(self.machinery, self.store),
        )

    @property
    def desk(self) -> WorkDesk | None:
        """Where operators look after jobs and dead letters."""
        work = self.store.work
        if work is None:
            return None
        return WorkDesk(AnnouncedJobs(work.jobs, self.dispatch.announce), self.inbox)

    async def stop(self) -> None:
        """Take in nothing more, and let what runs end: turns and jobs side by side."""
        if self.jobs is not None:
            self.jobs.stop()
        await self.engine.stop()

    async def ask(
        self,
        text: str,
        *,
        session_id: str | None = None,
        bot_id: str = DEFAULT_BOT,
        agent: str | None = None,
        principal: Principal = LOCAL_PRINCIPAL,
        key: str | None = None,
    ) -> OutboundMessage:
        """Ask and wait for the whole reply.

        Raises what `stream` raises, and `TurnNotAnswered` when the turn failed or was cancelled.
        """
        stream = self.stream(
            text, session_id=session_id, bot_id=bot_id, agent=agent, principal=principal, key=key
        )
        async for event in stream:
            if isinstance(event, TurnFinished):
                return event.message
            if isinstance(event, TurnFailed):
                raise TurnNotAnswered(event)
        raise AssertionError("a turn's stream ended without its terminal event")

    async def stream(
        self,
        text: str,
        *,
        session_id: str | None = None,
        bot_id: str = DEFAULT_BOT,
        agent: str | None = None,
        channel: str = "python",
        principal: Principal = LOCAL_PRINCIPAL,
        key: str | None = None,
    ) -> AsyncIterator[StreamEvent]:
        """Ask and watch what happens, up to the one terminal event. Leaving early does not stop the turn.

        `key` is the caller's own name for this message: asked again under it, also by another process or after a crash,
        it is the first turn again. Raises what `Engine.publish` raises, and `Conflict` when the key was another message's.
        """
        message = InboundMessage(
            channel=channel,
            chat_id=session_id or self.ids.new("s"),
            sender_id=principal.id,
            content=text,
            stream=True,
            principal=principal,
            message_id=f"{principal.id}:{key}" if key else None,
            tenant_id=principal.tenant_id,
            bot_id=bot_id,
            agent=agent,
        )
        accepted = await self.publish(message)
        if accepted.duplicate:
            first = await self.inbox.turn(principal.tenant_id, accepted.turn_id)
            if first is not None:
                check_repeated(first.message, message, named=session_id is not None, key="key")
        told = follow(self.engine, principal.tenant_id, accepted.turn_id)
        async with aclosing(told):
            async for item in told:
                yield item.event

    async def publish(self, message: InboundMessage) -> Accepted:
        """Accept a message; see `Engine.publish`."""
        return await self.engine.publish(message)
