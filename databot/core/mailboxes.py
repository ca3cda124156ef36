"""What waits for an asynchronous subscriber of the bus: a queue for each conversation.

Events of a conversation reach the subscriber one after the other; conversations do not wait for each other.

Overflow policy: `capacity` events may wait altogether. When they do, a text delta that would come in is left out, and
anything else takes the place of the oldest event of the conversation that has waited longest. `lost` counts both.
Nothing that is lost here is lost for good: the journal has it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from databot.core.supervisor import Supervisor
from databot.types.events import StreamEvent, TextDelta
from databot.types.messages import ConversationKey, Turn

log = logging.getLogger(__name__)
Handler = Callable[[Turn, StreamEvent], Awaitable[None]]
Queue = deque[tuple[Turn, StreamEvent]]


class Mailboxes:
    """The queues of one subscriber; each is drained by a task that exists only while there is work."""

    def __init__(
        self, handler: Handler, supervisor: Supervisor, *, name: str, capacity: int
    ) -> None:
        self._handler = handler
        self._supervisor = supervisor
        self._name = name
        self._capacity = capacity
        self._queues: dict[ConversationKey, Queue] = {}
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.lost = 0

    def put(self, turn: Turn, event: StreamEvent) -> None:
        """Queue an event for the subscriber."""
        if self._waiting >= self._capacity and not self._make_room(event):
            return
        queue = self._queues.get(turn.conversation)
        if queue is None:
            queue = self._queues[turn.conversation] = deque()
            self._idle.clear()
            self._supervisor.spawn(self._drain(turn.conversation, queue), name=self._name)
        queue.append((turn, event))
        self._waiting += 1

    async def idle(self) -> None:
        """Wait until nothing waits and nothing is being handled."""
        await self._idle.wait()

    def _make_room(self, event: StreamEvent) -> bool:
        self.lost += 1
        if isinstance(event, TextDelta):
            return False
        turn, oldest = next(queue for queue in self._queues.values() if queue).popleft()
        self._waiting -= 1
        log.warning("%s is too slow: it misses %s of %s", self._name, oldest.name, turn.id)
        return True

    async def _drain(self, conversation: ConversationKey, queue: Queue) -> None:
        try:
            while queue:
                turn, event = queue.popleft()
                self._waiting -= 1
                try:
                    await self._handler(turn, event)
                except Exception:  # boundary: bus fan-out
                    log.exception("subscriber %s failed on %s", self._name, event.name)
        finally:
            self._waiting -= len(queue)
            del self._queues[conversation]
            if not self._queues:
                self._idle.set()
