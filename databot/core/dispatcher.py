"""The dispatcher: one lane per conversation, many conversations at once.

Turns of a conversation run one after another, in the order they were accepted; conversations run side by side up to
`max_running`. Tenants take turns: one that floods the daemon waits behind its own messages, not before another's.
Everything is bounded before a message is committed (`reserve`), nothing is dropped after.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from databot.core.supervisor import Supervisor
from databot.types.errors import Busy
from databot.types.messages import ConversationKey, InboundMessage, Turn

log = logging.getLogger(__name__)
Work = Callable[["Waiting"], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchLimits:
    """Bounds: turns that run at once, turns that wait in one conversation, and turns that wait altogether.

    Messages are in memory with their files until they are answered, so their bytes are bounded too.
    """

    max_running: int = 200
    max_waiting_per_conversation: int = 20
    max_waiting: int = 10_000
    max_bytes: int = 500_000_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A turn in its lane; `resumed` when a run before this one had begun it."""

    turn: Turn
    resumed: bool = False


@dataclass(slots=True)
class Lane:
    """The serial queue of one conversation.

    `ready` says that it stands in its tenant's queue; `reserved` counts messages that are being committed right now.
    """

    conversation: ConversationKey
    waiting: deque[Waiting] = field(default_factory=deque[Waiting])
    running: bool = False
    ready: bool = False
    reserved: int = 0

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.running or self.ready or self.reserved)


@dataclass(slots=True)
class Running:
    """A turn's task. A task that has not taken its first step cannot be cancelled without losing its clean-up, so it
    cancels itself when it takes it.
    """

    task: asyncio.Task[None]
    started: bool = False
    cancelled_early: bool = False


class Dispatcher:
    """Runs turns: serial within a conversation, parallel across, fair between tenants, bounded everywhere."""

    def __init__(
        self, work: Work, supervisor: Supervisor, limits: DispatchLimits | None = None
    ) -> None:
        self._work = work
        self._supervisor = supervisor
        self._limits = limits or DispatchLimits()
        self._lanes: dict[ConversationKey, Lane] = {}
        self._ready: OrderedDict[str, deque[Lane]] = OrderedDict()
        self._known: set[str] = set()
        self._tasks: dict[str, Running] = {}
        self._waiting = 0
        self._bytes = 0
        self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """Turns that run now."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """Turns that wait for their lane or for a free place."""
        return self._waiting

    @contextmanager
    def reserve(self, message: InboundMessage) -> Generator[None]:
        """Hold a place in the conversation's lane while its message is being committed; `Busy` when there is none."""
        lane = self._lane(message.conversation)
        limits = self._limits
        if len(lane.waiting) + lane.reserved >= limits.max_waiting_per_conversation:
            raise Busy("too many messages of this conversation are waiting for their answers")
        size = size_of(message)
        if self._waiting >= limits.max_waiting or self._bytes + size > limits.max_bytes:
            self._forget_if_idle(lane)
            raise Busy("databot has too much work waiting", retry_after_s=5)
        lane.reserved += 1
        self._bytes += size
        try:
            yield
        finally:
            lane.reserved -= 1
            self._bytes -= size
            self._forget_if_idle(lane)

    def submit(self, turn: Turn, *, resumed: bool = False) -> None:
        """Queue an accepted turn in its conversation's lane; one that waits or runs already is not queued twice."""
        if turn.id in self._known:
            return
        self._known.add(turn.id)
        lane = self._lane(turn.conversation)
        lane.waiting.append(Waiting(turn, resumed))
        self._waiting += 1
        self._bytes += size_of(turn.message)
        self._idle.clear()
        if not lane.running:
            self._make_ready(lane)
        self._pump()

    def is_running(self, turn_id: str) -> bool:
        """Whether the turn has a task."""
        return turn_id in self._tasks

    def cancel(self, turn_id: str) -> None:
        """Cancel a running turn's task."""
        running = self._tasks[turn_id]
        if running.started:
            running.task.cancel()
        running.cancelled_early = not running.started

    def withdraw(self, turn_id: str) -> Turn | None:
        """Take a waiting turn out of its lane and give it back to be ended; `None` when it does not wait here."""
        for lane in self._lanes.values():
            for waiting in lane.waiting:
                if waiting.turn.id == turn_id:
                    lane.waiting.remove(waiting)
                    self._known.discard(turn_id)
                    self._waiting -= 1
                    self._bytes -= size_of(waiting.turn.message)
                    self._check_idle()
                    return waiting.turn
        return None

    async def drain(self) -> None:
        """Start nothing new and wait until everything that runs has ended; what waits is left waiting."""
        self._paused = True
        self._check_idle()
        await self._idle.wait()

    def _lane(self, conversation: ConversationKey) -> Lane:
        lane = self._lanes.get(conversation)
        if lane is None:
            lane = self._lanes[conversation] = Lane(conversation)
        return lane

    def _make_ready(self, lane: Lane) -> None:
        if lane.ready:
            return
        lane.ready = True
        self._ready.setdefault(lane.conversation.tenant_id, deque()).append(lane)

    def _next_ready(self) -> Lane | None:
        """The next conversation's lane, one tenant after another."""
        while self._ready:
            tenant_id, lanes = self._ready.popitem(last=False)
            lane = lanes.popleft()
            if lanes:
                self._ready[tenant_id] = lanes
            lane.ready = False
            if lane.waiting:
                return lane
            self._forget_if_idle(lane)
        return None

    def _pump(self) -> None:
        while not self._paused and len(self._tasks) < self._limits.max_running:
            lane = self._next_ready()
            if lane is None:
                return
            waiting = lane.waiting.popleft()
            self._waiting -= 1
            lane.running = True
            work = self._run(waiting, lane)
            task = self._supervisor.spawn(work, name=waiting.turn.id)
            self._tasks[waiting.turn.id] = Running(task)

    async def _run(self, waiting: Waiting, lane: Lane) -> None:
        turn = waiting.turn
        running = self._tasks[turn.id]
        running.started = True
        if running.cancelled_early:
            running.task.cancel()
        try:
            await self._work(waiting)
        except Exception:  # boundary: lane
            log.exception("turn %s ended outside its pipeline", turn.id)
        finally:
            del self._tasks[turn.id]
            self._known.discard(turn.id)
            self._bytes -= size_of(turn.message)
            lane.running = False
            if lane.waiting:
                self._make_ready(lane)
            else:
                self._forget_if_idle(lane)
            self._check_idle()
            self._pump()

    def _forget_if_idle(self, lane: Lane) -> None:
        if lane.idle:
            self._lanes.pop(lane.conversation, None)

    def _check_idle(self) -> None:
        if not self._tasks and (self._paused or not self._waiting):
            self._idle.set()


def size_of(message: InboundMessage) -> int:
    """The bytes a message holds in memory, roughly."""
    return len(message.content) + sum(len(file.data) for file in message.attachments)
