"""The message bus: a durable inbox with one consumer, and a fan-out of events to any number of subscribers.

`publish` returns once the message is committed, so a channel may then acknowledge its platform. `emit` tells every
subscriber what happened and waits for none of them.

Overflow policy of the fan-out. A plain subscriber is a quick function called at once. An asynchronous one has a
mailbox of `capacity` events; when it is full, text deltas that would come in are left out first, then the oldest
events make room for new ones. `lost` counts both. Nothing that is lost here is lost for good: the journal has it.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from databot.core.supervisor import Supervisor
from databot.storage.base import Accepted, Inbox
from databot.types.clock import Clock, Ids
from databot.types.events import StreamEvent, TextDelta
from databot.types.messages import InboundMessage, Turn

log = logging.getLogger(__name__)
Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event and the turn it belongs to."""

    turn: Turn
    event: StreamEvent


Listener = Callable[[Happened], None]
Consumer = Callable[[Turn], None]


class MessageBus:
    """Takes messages in durably and tells subscribers what becomes of them."""

    def __init__(self, inbox: Inbox, clock: Clock, ids: Ids, supervisor: Supervisor) -> None:
        self._inbox = inbox
        self._clock = clock
        self._ids = ids
        self._supervisor = supervisor
        self._listeners: list[Listener] = []
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
        """Commit the message and hand its turn to the consumer; a redelivered one is only acknowledged."""
        accepted = await self._inbox.ingest(self._ids.new("turn"), message)
        if not accepted.duplicate and self._consumer is not None:
            self._consumer(Turn(id=accepted.turn_id, message=message, started_at=self._clock.now()))
        return accepted

    def subscribe(self, listener: Listener) -> Undo:
        """Call `listener`, which must be quick, with everything that happens; gives back the undo."""
        self._listeners.append(listener)

        def undo() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return undo

    def subscribe_async(
        self,
        handler: Callable[[Happened], Awaitable[None]],
        *,
        name: str,
        only: Callable[[Happened], bool] = lambda _: True,
        capacity: int = 1_000,
    ) -> Undo:
        """Call `handler` with one event after another, in its own time; see the overflow policy above.

        `only` says which events it wants at all.
        """
        mailbox = Mailbox(handler, self._supervisor, name=name, capacity=capacity)
        return self.subscribe(lambda happened: mailbox.put(happened) if only(happened) else None)

    def emit(self, turn: Turn, event: StreamEvent) -> None:
        """Tell every subscriber; one that fails harms neither the turn nor the others."""
        happened = Happened(turn, event)
        for listener in tuple(self._listeners):
            try:
                listener(happened)
            except Exception:  # boundary: bus fan-out
                log.exception("a subscriber failed on %s", event.name)


class Mailbox:
    """A bounded queue in front of an asynchronous subscriber, drained by a task that exists only while there is work."""

    def __init__(
        self,
        handler: Callable[[Happened], Awaitable[None]],
        supervisor: Supervisor,
        *,
        name: str,
        capacity: int,
    ) -> None:
        self._handler = handler
        self._supervisor = supervisor
        self._name = name
        self._capacity = capacity
        self._waiting: deque[Happened] = deque()
        self._draining = False
        self.lost = 0

    def put(self, happened: Happened) -> None:
        if len(self._waiting) >= self._capacity:
            self.lost += 1
            if isinstance(happened.event, TextDelta):
                return
            self._waiting.popleft()
        self._waiting.append(happened)
        if not self._draining:
            self._draining = True
            self._supervisor.spawn(self._drain(), name=f"mailbox {self._name}")

    async def _drain(self) -> None:
        try:
            while self._waiting:
                happened = self._waiting.popleft()
                try:
                    await self._handler(happened)
                except Exception:  # boundary: bus fan-out
                    log.exception("subscriber %s failed on %s", self._name, happened.event.name)
        finally:
            self._draining = False
