"""The message bus: a durable inbox with one consumer, and a fan-out of events to any number of subscribers.

`publish` returns once the message is committed, so a channel may then acknowledge its platform. `emit` tells every
subscriber what happened and waits for none of them: a plain subscriber is a quick function called at once, an
asynchronous one has bounded queues with a written overflow policy (`mailboxes`).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from databot.core.mailboxes import Handler, Mailboxes
from databot.core.supervisor import Supervisor
from databot.storage.base import OPEN_STATES, Accepted, Inbox
from databot.types.clock import Clock, Ids
from databot.types.events import StreamEvent
from databot.types.messages import InboundMessage, Turn

log = logging.getLogger(__name__)
Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event and the turn it belongs to."""

    turn: Turn
    event: StreamEvent


Listener = Callable[[Happened], None]


class Consumer(Protocol):
    """Takes the turns in. One that it has already is not taken twice."""

    def __call__(self, turn: Turn, *, resumed: bool = False) -> None: ...


class MessageBus:
    """Takes messages in durably and tells subscribers what becomes of them."""

    def __init__(self, inbox: Inbox, clock: Clock, ids: Ids, supervisor: Supervisor) -> None:
        self._inbox = inbox
        self._clock = clock
        self._ids = ids
        self._supervisor = supervisor
        self._listeners: list[Listener] = []
        self._mailboxes: list[Mailboxes] = []
        self._consumer: Consumer | None = None

    def consume(self, consumer: Consumer) -> Undo:
        """Make `consumer` the one that is handed every newly accepted turn. There is only one."""
        if self._consumer is not None:
            raise RuntimeError("the bus has its consumer already")
        self._consumer = consumer

        def undo() -> None:
            self._consumer = None

        return undo

    async def publish(self, message: InboundMessage) -> Accepted:
        """Commit the message and hand its turn to the consumer.

        A redelivered one is acknowledged; should nobody be at work on its turn, the consumer is handed it too.
        """
        turn_id = self._ids.new("turn")
        try:
            accepted = await self._inbox.ingest(turn_id, message)
        except asyncio.CancelledError:
            # The door is gone, the message may be committed all the same: then it is answered.
            self._supervisor.spawn(self._take_in(turn_id, message), name=f"take in {turn_id}")
            raise
        if accepted.duplicate:
            await self._pick_up(message.tenant_id, accepted.turn_id)
        else:
            self._hand_over(Turn(id=turn_id, message=message, started_at=self._clock.now()))
        return accepted

    async def _take_in(self, turn_id: str, message: InboundMessage) -> None:
        """Deliver again: the store takes it after the first time, so that now it is kept for certain."""
        accepted = await self._inbox.ingest(turn_id, message)
        await self._pick_up(message.tenant_id, accepted.turn_id)

    async def _pick_up(self, tenant_id: str, turn_id: str) -> None:
        record = await self._inbox.turn(tenant_id, turn_id)
        if record is not None and record.state in OPEN_STATES:
            turn = Turn(id=turn_id, message=record.message, started_at=record.accepted_at)
            self._hand_over(turn, resumed=record.state != "queued")

    def _hand_over(self, turn: Turn, *, resumed: bool = False) -> None:
        if self._consumer is not None:
            self._consumer(turn, resumed=resumed)

    def subscribe(self, listener: Listener) -> Undo:
        """Call `listener`, which must be quick, with everything that happens; gives back the undo."""
        self._listeners.append(listener)

        def undo() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return undo

    def subscribe_async(
        self,
        handler: Handler,
        *,
        name: str,
        only: Callable[[Happened], bool] = lambda _: True,
        capacity: int = 1_000,
    ) -> Undo:
        """Call `handler` with the events of each conversation one after another, in its own time.

        `only` says which events it wants at all; `capacity` is explained in `mailboxes`.
        """
        mailboxes = Mailboxes(handler, self._supervisor, name=name, capacity=capacity)
        self._mailboxes.append(mailboxes)

        def put(happened: Happened) -> None:
            if only(happened):
                mailboxes.put(happened.turn, happened.event)

        return self.subscribe(put)

    async def flush(self) -> None:
        """Wait until every asynchronous subscriber has handled what it was told."""
        for mailboxes in self._mailboxes:
            await mailboxes.idle()

    def emit(self, turn: Turn, event: StreamEvent) -> None:
        """Tell every subscriber; one that fails harms neither the turn nor the others."""
        happened = Happened(turn, event)
        for listener in tuple(self._listeners):
            try:
                listener(happened)
            except Exception:  # boundary: bus fan-out
                log.exception("a subscriber failed on %s", event.name)
