"""The message bus: a durable inbox, and a fan-out of events to any number of subscribers.

`publish` returns once the message is committed, so a channel may then acknowledge its platform; somebody is signalled to
answer it, here or at another replica. `emit` tells every
subscriber what happened and waits for none of them: a plain subscriber is a quick function called at once, an
asynchronous one has bounded queues with a written overflow policy (`mailboxes`).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from databot.core.mailboxes import Handler, Mailboxes
from databot.core.supervisor import Supervisor
from databot.dispatch.base import Dispatch
from databot.storage.base import OPEN_STATES, Accepted, Inbox
from databot.types.clock import Ids
from databot.types.errors import Busy
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


class MessageBus:
    """Takes messages in durably and tells subscribers what becomes of them."""

    def __init__(
        self,
        inbox: Inbox,
        dispatch: Dispatch,
        ids: Ids,
        supervisor: Supervisor,
        *,
        most_waiting: int = 2**31,
    ) -> None:
        self._inbox = inbox
        self._dispatch = dispatch
        self._ids = ids
        self._supervisor = supervisor
        self._most_waiting = most_waiting
        self._listeners: list[Listener] = []
        self._mailboxes: list[Mailboxes] = []

    async def publish(self, message: InboundMessage) -> Accepted:
        """Commit the message and signal that its conversation has work.

        A redelivered one is acknowledged; should its turn still be open, that is signalled too. Raises what
        `Inbox.ingest` raises.
        """
        turn_id = self._ids.new("turn")
        try:
            accepted = await self._ingest(turn_id, message)
        except asyncio.CancelledError:
            # The door is gone, the message may be committed all the same: then it is answered.
            self._supervisor.spawn(self._take_in(turn_id, message), name=f"take in {turn_id}")
            raise
        if accepted.duplicate:
            await self._pick_up(message, accepted.turn_id)
        else:
            await self._dispatch.signal(message.conversation)
        return accepted

    async def _ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
        return await self._inbox.ingest(turn_id, message, most_waiting=self._most_waiting)

    async def _take_in(self, turn_id: str, message: InboundMessage) -> None:
        """Deliver again: the store takes it after the first time, so that now it is kept for certain."""
        try:
            accepted = await self._ingest(turn_id, message)
        except Busy:
            return  # it was refused, and is not kept
        await self._pick_up(message, accepted.turn_id)

    async def _pick_up(self, message: InboundMessage, turn_id: str) -> None:
        record = await self._inbox.turn(message.tenant_id, turn_id)
        if record is not None and record.state in OPEN_STATES:
            await self._dispatch.signal(record.conversation)

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
