"""The engine: bus, lanes, worker and streams as one thing that doors can use.

It accepts messages, lets readers watch their turns, stops turns, takes up what is unfinished and drains at the end. It
decides nothing about answers.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from databot.core.backlog import Backlog
from databot.core.base import Wake, Watch
from databot.core.bus import Happened, MessageBus
from databot.core.dispatcher import Dispatcher
from databot.core.ending import failure, final_events, kept_for_later
from databot.core.mirror import Mirrors
from databot.core.pipeline import Deliver
from databot.core.streams import Ending, TurnStreams
from databot.core.supervisor import Supervisor
from databot.core.sweeper import Sweeper
from databot.core.worker import TurnWorker
from databot.dispatch.base import Dispatch, Stop, TurnKey
from databot.storage.base import OPEN_STATES, Accepted, Inbox, TurnRecord
from databot.types.clock import Clock
from databot.types.errors import (
    Busy,
    NotFound,
    RequestError,
    StorageError,
    TooLarge,
    TurnCancelled,
    describe,
)
from databot.types.events import ApprovalRequested, TextDelta, TurnFailed
from databot.types.messages import ConversationKey, InboundMessage, Turn

log = logging.getLogger(__name__)
FORCED = re.compile(r"\s*@(\S+)\s+(\S.*)", re.DOTALL)
INTERRUPTED = "databot is stopping; the turn goes on after its restart"
LAST_S = 5.0
"""How long a stopping engine waits for subscribers of the bus, and for turns to be given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What is accepted: `bots` gives the bots of a tenant with the agents each can be forced to.

    `inactive` are agents that exist and lack their tools: `@name` of one is answered with an error, not taken as text.
    `lease_s` is for how long a worker that is not heard of counts as alive.
    """

    bots: Callable[[str], Mapping[str, frozenset[str]]]
    inactive: frozenset[str] = frozenset()
    max_characters: int = 200_000
    drain_s: float = 25.0
    lease_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machinery:
    """What an engine runs on. `beats` is the clock its background loops go by, `deliver` as in `PipelineOptions`."""

    inbox: Inbox
    bus: MessageBus
    backlog: Backlog
    dispatcher: Dispatcher
    dispatch: Dispatch
    worker: TurnWorker
    sweeper: Sweeper
    streams: TurnStreams
    mirrors: Mirrors
    supervisor: Supervisor
    beats: Clock
    deliver: Deliver


class TurnEngine:
    """Implements `Engine`."""

    def __init__(self, machinery: Machinery, options: EngineOptions) -> None:
        self._on = machinery
        self._options = options
        self._stopping = False
        self._intake: asyncio.Task[None] | None = None

    async def start(self, *, resume: bool) -> None:
        """Begin to work; with `resume`, on whatever is unfinished, now and whenever a worker dies.

        A terminal session beside a running gateway does not: it answers what it was asked, and takes up only what
        somebody reads in it.
        """
        on, spawn = self._on, self._on.supervisor.spawn
        on.bus.subscribe(self._to_stream)
        spawn(on.worker.keep_leases(self._options.lease_s / 3), name="leases")
        spawn(self._heed_notices(), name="notices")
        self._intake = spawn(self._take_signals(), name="signals")
        if resume:
            await on.sweeper.sweep(0)
            spawn(on.sweeper.run(), name="sweeper")
        else:
            spawn(on.sweeper.run(self._is_read), name="sweeper")

    async def stop(self) -> None:
        """Take no more messages, give running turns `drain_s` seconds, and leave the rest to others or the next start.

        Then every open stream is ended, and the bus's subscribers hear of what happened. Replies to channels stay in the
        outbox. A second call finds nothing to do.
        """
        if self._stopping:
            return
        self._stopping = True
        if self._intake is not None:
            self._intake.cancel()
        try:
            async with asyncio.timeout(self._options.drain_s):
                await self._on.dispatcher.drain()
        except TimeoutError:
            log.warning("%d turns still run: they go on after the restart", self._on.worker.turns)
            await self._interrupt()
        self._end_streams()
        try:
            async with asyncio.timeout(LAST_S):
                await self._on.bus.flush()
        except TimeoutError:
            log.warning("subscribers of the bus had not heard of everything; the journal has it")

    async def _interrupt(self) -> None:
        """Break off what runs, and give it back, so that another worker has it at once."""
        try:
            async with asyncio.timeout(LAST_S):
                await self._on.dispatcher.interrupt()
        except TimeoutError:
            log.warning("%d turns could not be broken off", self._on.worker.turns)

    def _end_streams(self) -> None:
        for tenant_id, turn_id in self._on.streams.open_turns():
            self._on.streams.add(
                tenant_id,
                turn_id,
                TurnFailed(turn_id=turn_id, session_id="", error="interrupted", reason=INTERRUPTED),
            )

    async def publish(self, message: InboundMessage) -> Accepted:
        message = self._checked(message)
        with self._on.backlog.reserve(message):
            accepted = await self._on.bus.publish(message)
        if not accepted.duplicate:
            self._on.backlog.opened(message.tenant_id)
            if not self._on.dispatch.shared:  # it runs here, and its reader comes next
                streams = self._on.streams
                streams.open(message.tenant_id, accepted.turn_id, message.conversation)
        return accepted

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        streams = self._on.streams
        stream = streams.get(tenant_id, turn_id)
        if stream is not None and not (
            stream.ended or stream.elsewhere or self._on.dispatch.shared
        ):
            return stream.watch(wake, after)
        record = await self._record(tenant_id, turn_id)
        if record.state not in OPEN_STATES:
            if stream is None or not stream.ended:
                return Ending(final_events(turn_id, record), after)
            return stream.watch(wake, after)
        streams.open(tenant_id, turn_id, record.conversation)
        watch = streams.renew(tenant_id, turn_id).watch(wake, after)
        if not self._on.dispatcher.has(record.conversation):
            self._on.mirrors.follow(TurnKey(tenant_id=tenant_id, turn_id=turn_id))
        return watch

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        record = await self._record(tenant_id, turn_id)
        if record.state not in OPEN_STATES:
            return
        # The wish is on the disk first; this goes on when the caller leaves.
        stopping = self._stop(record)
        await asyncio.shield(self._on.supervisor.spawn(stopping, name=f"cancel {turn_id}"))

    async def _stop(self, record: TurnRecord) -> None:
        """End a turn that waits; one that runs is broken off, here or at the replica that hears of it."""
        turn_id, tenant_id = record.turn_id, record.conversation.tenant_id
        error = {"type": TurnCancelled.type, "message": describe(TurnCancelled())}
        turn = Turn(id=turn_id, message=record.message, started_at=record.accepted_at)
        failed = failure(replace(record, state="cancelled", error=error))
        deliver = self._on.deliver(turn, failed)
        if await self._on.inbox.stop(tenant_id, turn_id, error, deliver=deliver):
            if record.state != "waiting":
                self._on.backlog.ended(tenant_id)
            self._on.bus.emit(turn, failed)
        elif not self._on.worker.stop(turn_id) and self._on.dispatch.shared:
            await self._on.dispatch.announce(
                Stop(turn=TurnKey(tenant_id=tenant_id, turn_id=turn_id))
            )

    async def go_on(self, conversation: ConversationKey) -> None:
        """A turn of this conversation waited for a person, and waits for a worker now."""
        self._on.backlog.opened(conversation.tenant_id)
        await self._on.dispatch.signal(conversation)

    def tell_stuck(self, conversation: ConversationKey, error: StorageError) -> None:
        """The store lets nobody answer the conversation now: whoever reads its turns here need not wait for that."""
        for turn_id, stream in self._on.streams.open_of(conversation):
            if stream.is_read:
                failed = TurnFailed(
                    turn_id=turn_id,
                    session_id=conversation.session_id,
                    error=error.type,
                    reason=kept_for_later(error),
                )
                self._on.streams.add(conversation.tenant_id, turn_id, failed)

    def follow_elsewhere(self, conversation: ConversationKey) -> None:
        """Another worker has the conversation: whoever reads its turns here, now or later, is told what happens there."""
        for turn_id, stream in self._on.streams.open_of(conversation):
            if self._on.worker.runs(turn_id):
                continue
            stream.elsewhere = True
            if stream.is_read:
                self._on.mirrors.follow(TurnKey(tenant_id=conversation.tenant_id, turn_id=turn_id))
            else:
                self._on.streams.forget(conversation.tenant_id, turn_id)

    def _is_read(self, conversation: ConversationKey) -> bool:
        return any(stream.is_read for _, stream in self._on.streams.open_of(conversation))

    async def _take_signals(self) -> None:
        async for conversation in self._on.dispatch.signals():
            self._on.dispatcher.signal(conversation)

    async def _heed_notices(self) -> None:
        async for notice in self._on.dispatch.notices():
            if isinstance(notice, Stop):
                self._on.worker.stop(notice.turn.turn_id)

    async def _record(self, tenant_id: str, turn_id: str) -> TurnRecord:
        record = await self._on.inbox.turn(tenant_id, turn_id)
        if record is None:
            raise NotFound("turn", turn_id)
        return record

    def _checked(self, message: InboundMessage) -> InboundMessage:
        """The message as it will be kept; refuses what cannot be answered, before anything is kept."""
        if self._stopping:
            raise Busy("databot is stopping", retry_after_s=5)
        bots = self._options.bots(message.tenant_id)
        agents = bots.get(message.bot_id)
        if agents is None:
            raise NotFound("bot", message.bot_id)
        message = with_forced_agent(message, agents | self._options.inactive)
        if message.agent is not None and message.agent not in agents:
            kind = "active agent" if message.agent in self._options.inactive else "agent"
            raise NotFound(kind, message.agent, hint=f"the agents are: {', '.join(sorted(agents))}")
        if not message.content.strip() and not message.attachments:
            raise RequestError("the message is empty")
        if len(message.content) > self._options.max_characters:
            limit = self._options.max_characters
            raise TooLarge(f"the message is longer than {limit:,} characters")
        if "\x00" in message.content or "\x00" in message.session_id:
            raise RequestError("the message holds a NUL character; it must be text")
        if not is_text(message.content):
            raise RequestError("the message holds half of a character; it must be text")
        return message

    def _to_stream(self, happened: Happened) -> None:
        turn = happened.turn
        if isinstance(happened.event, ApprovalRequested):
            self._on.streams.rest(turn.message.tenant_id, turn.id)
        self._on.streams.open(turn.message.tenant_id, turn.id, turn.message.conversation)
        item = self._on.streams.add(turn.message.tenant_id, turn.id, happened.event)
        if isinstance(happened.event, TextDelta):
            self._on.dispatcher.spoke(turn.message.conversation)
        if item is not None:
            self._on.dispatch.tell(TurnKey(tenant_id=turn.message.tenant_id, turn_id=turn.id), item)


def is_text(content: str) -> bool:
    """Whether it can be sent and stored: bytes of a terminal that are no UTF-8 arrive as half characters."""
    try:
        return content.isascii() or bool(content.encode())
    except UnicodeEncodeError:
        return False


def with_forced_agent(message: InboundMessage, agents: frozenset[str]) -> InboundMessage:
    """`@sql how many …` as a message forced to the agent `sql`; an `@name` that is no agent stays text."""
    found = FORCED.match(message.content) if message.agent is None else None
    if found is None:
        return message
    name, rest = found.groups()
    known = {agent.lower(): agent for agent in sorted(agents)}
    forced = name if name in agents else known.get(name.lower())
    if forced is None:
        return message
    return replace(message, agent=forced, content=rest.strip())
