"""The dispatcher: one lane per conversation, many conversations at once.

A lane is told that its conversation has work, and runs the work again and again until there is none: serial inside,
side by side across, up to `max_running`. Tenants take turns: one that floods the daemon waits behind its own
conversations, not before another's. What the work is, and that no other process does it too, is the worker's.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from databot.core.supervisor import Supervisor
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lane:
    """The serial queue of one conversation: the turns themselves wait in the store.

    `ready` says that it stands in its tenant's queue, `signalled` that it may have work, and `found` that the work may
    have been begun by a worker that died. `silent` is one at work that has not said a word yet.
    """

    conversation: ConversationKey
    signalled: bool = False
    found: bool = False
    ready: bool = False
    silent: bool = False
    task: asyncio.Task[None] | None = None


Work = Callable[[ConversationKey, bool], Awaitable[bool]]
"""Does the next piece of a conversation's work; says whether there is more. The flag is the lane's `found`."""


class Dispatcher:
    """Runs conversations: serial within one, parallel across, fair between tenants, bounded."""

    def __init__(
        self,
        work: Work,
        supervisor: Supervisor,
        *,
        max_running: int = 1_000,
        max_silent: int = 200,
    ) -> None:
        self._work = work
        self._supervisor = supervisor
        self._max_running = max_running
        self._max_silent = max_silent
        self._silent = 0
        self._lanes: dict[ConversationKey, Lane] = {}
        self._ready: OrderedDict[str, deque[Lane]] = OrderedDict()
        self._running = 0
        self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """Conversations at work now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Conversations that wait for a free place."""
        return sum(len(lanes) for lanes in self._ready.values())

    def signal(self, conversation: ConversationKey, *, found: bool = False) -> None:
        """The conversation has work, or may have. Saying so twice changes nothing."""
        lane = self._lanes.get(conversation)
        if lane is None:
            lane = self._lanes[conversation] = Lane(conversation)
        lane.signalled = True
        lane.found = lane.found or found
        self._idle.clear()
        if lane.task is None:
            self._make_ready(lane)
            self._pump()

    def spoke(self, conversation: ConversationKey) -> None:
        """The conversation has said its first word: it costs little from here on, and another may begin."""
        lane = self._lanes.get(conversation)
        if lane is not None and lane.silent:
            self._count_out(lane)
            self._pump()

    def has(self, conversation: ConversationKey) -> bool:
        """Whether the conversation is at work here, or waits here for a place."""
        return conversation in self._lanes

    async def drain(self) -> None:
        """Start nothing new and wait until everything that runs has ended; what waits is left waiting."""
        self._paused = True
        self._check_idle()
        await self._idle.wait()

    async def interrupt(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        self._paused = True
        for lane in tuple(self._lanes.values()):
            if lane.task is not None:
                lane.task.cancel()
        self._check_idle()
        await self._idle.wait()

    def _make_ready(self, lane: Lane) -> None:
        if lane.ready:
            return
        lane.ready = True
        self._ready.setdefault(lane.conversation.tenant_id, deque()).append(lane)

    def _next_ready(self) -> Lane | None:
        """The next conversation's lane, one tenant after another."""
        if not self._ready:
            return None
        tenant_id, lanes = self._ready.popitem(last=False)
        lane = lanes.popleft()
        if lanes:
            self._ready[tenant_id] = lanes
        lane.ready = False
        return lane

    def _count_out(self, lane: Lane) -> None:
        if lane.silent:
            lane.silent = False
            self._silent -= 1

    def _has_room(self) -> bool:
        """A turn costs the process most before its first word, so that fewer of those run at once than of all."""
        room = self._running < self._max_running and self._silent < self._max_silent
        return room and not self._paused

    def _pump(self) -> None:
        while self._has_room():
            lane = self._next_ready()
            if lane is None:
                return
            self._running += 1
            self._silent += 1
            lane.silent = True
            name = f"lane {lane.conversation.session_id}"
            lane.task = self._supervisor.spawn(self._run(lane), name=name)
            # A task that is cancelled before its first step never runs at all, not even its `finally`.
            lane.task.add_done_callback(lambda _, lane=lane: self._ended(lane))

    async def _run(self, lane: Lane) -> None:
        found, lane.signalled, lane.found = lane.found, False, False
        try:
            if await self._work(lane.conversation, found):
                lane.signalled = True
        except Exception:  # boundary: lane
            log.exception("conversation %s: its lane failed", lane.conversation.session_id)

    def _ended(self, lane: Lane) -> None:
        self._running -= 1
        self._count_out(lane)
        lane.task = None
        if lane.signalled:
            self._make_ready(lane)  # behind its tenant's other conversations
        else:
            self._lanes.pop(lane.conversation, None)
        self._check_idle()
        self._pump()

    def _check_idle(self) -> None:
        if not self._running and (self._paused or not self._ready):
            self._idle.set()
