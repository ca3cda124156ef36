"""The engine: bus, dispatcher and pipeline as one thing that doors can use.

It accepts messages, lets readers watch their turns, stops turns, picks unfinished turns up at start and drains at the
end. It decides nothing about answers.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from databot.core.base import Wake, Watch
from databot.core.bus import Happened, MessageBus
from databot.core.dispatcher import Dispatcher
from databot.core.pipeline import TurnPipeline
from databot.core.streams import Ending, TurnStreams
from databot.core.supervisor import Supervisor
from databot.storage.base import OPEN_STATES, Accepted, Inbox, TurnRecord
from databot.types.errors import Busy, NotFound, RequestError, TooLarge
from databot.types.events import MessageCompleted, StreamEvent, TurnFailed, TurnFinished
from databot.types.messages import InboundMessage, Turn

log = logging.getLogger(__name__)
FORCED = re.compile(r"\s*@(\S+)\s+(\S.*)", re.DOTALL)
INTERRUPTED = "databot is stopping; the turn goes on after its restart"
DELIVER_S = 5.0
"""How long a stopping engine waits for replies that are being delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What is accepted: `bots` gives the bots of a tenant with the agents each can be forced to.

    `inactive` are agents that exist and lack their tools: `@name` of one is answered with an error, not taken as text.
    """

    bots: Callable[[str], Mapping[str, frozenset[str]]]
    inactive: frozenset[str] = frozenset()
    max_characters: int = 200_000
    drain_s: float = 25.0


class TurnEngine:
    """Implements `Engine`."""

    def __init__(
        self,
        inbox: Inbox,
        bus: MessageBus,
        dispatcher: Dispatcher,
        pipeline: TurnPipeline,
        streams: TurnStreams,
        supervisor: Supervisor,
        options: EngineOptions,
    ) -> None:
        self._inbox = inbox
        self._bus = bus
        self._dispatcher = dispatcher
        self._pipeline = pipeline
        self._streams = streams
        self._supervisor = supervisor
        self._options = options
        self._stopping = False

    async def start(self, *, resume: bool) -> None:
        """Begin to work; with `resume`, first on the turns that an earlier run left unfinished.

        Only the one owner of the store resumes: a terminal session beside a running gateway must not.
        """
        self._bus.subscribe(self._to_stream)
        self._bus.consume(self._dispatcher.submit)
        if not resume:
            return
        for record in await self._inbox.unfinished():
            turn = Turn(id=record.turn_id, message=record.message, started_at=record.accepted_at)
            self._streams.open(record.conversation.tenant_id, turn.id)
            # A turn that had begun may say it is queued: that is committed with the next write, not for itself.
            self._dispatcher.submit(turn, resumed=True)

    async def stop(self) -> None:
        """Take no more messages, give running turns `drain_s` seconds, and leave the rest for the next start.

        Then every open stream is ended and the replies on their way are delivered. A second call finds nothing to do.
        """
        if self._stopping:
            return
        self._stopping = True
        try:
            async with asyncio.timeout(self._options.drain_s):
                await self._dispatcher.drain()
        except TimeoutError:
            log.warning(
                "%d turns still run: they go on after the restart", self._dispatcher.running
            )
        self._end_streams()
        try:
            async with asyncio.timeout(DELIVER_S):
                await self._bus.flush()
        except TimeoutError:
            log.warning(
                "replies were still on their way to their channels; the session log has them"
            )

    def _end_streams(self) -> None:
        for tenant_id, turn_id in self._streams.open_turns():
            self._streams.add(
                tenant_id,
                turn_id,
                TurnFailed(turn_id=turn_id, session_id="", error="interrupted", reason=INTERRUPTED),
            )

    async def publish(self, message: InboundMessage) -> Accepted:
        message = self._checked(message)
        with self._dispatcher.reserve(message):
            accepted = await self._bus.publish(message)
        if (
            not accepted.duplicate
        ):  # its reader comes next, and then need not ask the store whose it is
            self._streams.open(message.tenant_id, accepted.turn_id)
        return accepted

    async def watch(self, tenant_id: str, turn_id: str, wake: Wake, *, after: int = 0) -> Watch:
        stream = self._streams.get(tenant_id, turn_id)
        if stream is None or stream.ended:  # one that has ended may have been deleted since
            record = await self._record(tenant_id, turn_id)
            if stream is None and record.state not in OPEN_STATES:
                return Ending(final_events(record), after)
            stream = stream or self._streams.open(tenant_id, turn_id)
        return stream.watch(wake, after)

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        record = await self._record(tenant_id, turn_id)
        if record.state not in OPEN_STATES:
            return
        waiting = self._dispatcher.withdraw(turn_id)
        if waiting is not None:
            # Nobody else ends it now, so this goes on when the caller leaves.
            ending = self._pipeline.end_cancelled(waiting)
            await asyncio.shield(self._supervisor.spawn(ending, name=f"cancel {turn_id}"))
        elif self._dispatcher.is_running(turn_id) and self._pipeline.mark_cancelled(turn_id):
            self._dispatcher.cancel(turn_id)

    async def _record(self, tenant_id: str, turn_id: str) -> TurnRecord:
        record = await self._inbox.turn(tenant_id, turn_id)
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
        self._streams.add(turn.message.tenant_id, turn.id, happened.event)


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


def final_events(record: TurnRecord) -> list[StreamEvent]:
    """How a turn ended, rebuilt from the store."""
    if record.reply is not None and record.state == "done":
        return [
            MessageCompleted(turn_id=record.turn_id, message=record.reply),
            TurnFinished(turn_id=record.turn_id, message=record.reply),
        ]
    error = record.error or {}
    return [
        TurnFailed(
            turn_id=record.turn_id,
            session_id=record.conversation.session_id,
            error=error.get("type", record.state),
            reason=error.get("message", f"the turn is {record.state}"),
        )
    ]
