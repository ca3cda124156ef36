"""How much is accepted and not answered yet, and whether one more message fits: asked before it is committed.

Nothing is dropped after the commit, so everything is bounded before it. A full house keeps its last places for tenants
that use less than their share: one that floods the daemon is refused while the others still come in.
"""

from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from databot.types.errors import Busy
from databot.types.messages import InboundMessage

SHARED_FROM = 0.9
"""From this part of the places on, a tenant gets another one only while it has less than its share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchLimits:
    """Bounds: turns that run at once, those of them that have not said a word yet, turns that wait in one conversation, and open turns altogether.

    `max_bytes` bounds what is in memory: the messages being committed, with their files, and those of running turns.
    """

    max_running: int = 1_000
    max_silent: int = 200
    max_waiting_per_conversation: int = 20
    max_waiting: int = 10_000
    max_bytes: int = 500_000_000


class Backlog:
    """The open turns of each tenant. Other replicas open and end turns too: what the store counts is taken over."""

    def __init__(self, limits: DispatchLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._coming = 0
        self._bytes = 0

    @property
    def waiting(self) -> int:
        """Open turns, those that run included."""
        return self._open.total()

    @contextmanager
    def reserve(self, message: InboundMessage) -> Generator[None]:
        """Hold a place for a message while it is being committed; `Busy` when there is none."""
        size = size_of(message)
        if self._bytes + size > self._limits.max_bytes or not self._has_room(message.tenant_id):
            raise Busy("databot has too much work waiting", retry_after_s=5)
        self._coming += 1
        self._bytes += size
        try:
            yield
        finally:
            self._coming -= 1
            self._bytes -= size

    @contextmanager
    def holding(self, message: InboundMessage) -> Generator[None]:
        """Count the bytes of a message whose turn runs."""
        size = size_of(message)
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size

    def opened(self, tenant_id: str) -> None:
        """A message of this tenant was accepted."""
        self._open[tenant_id] += 1

    def ended(self, tenant_id: str) -> None:
        """A turn of this tenant ended."""
        self._open[tenant_id] = max(0, self._open[tenant_id] - 1)
        if not self._open[tenant_id]:
            del self._open[tenant_id]

    def recount(self, counts: Mapping[str, int]) -> None:
        """Take over what the store counted."""
        self._open = Counter(counts)

    def _has_room(self, tenant_id: str) -> bool:
        places, taken = self._limits.max_waiting, self._open.total() + self._coming
        if taken >= places:
            return False
        share = places / (len(self._open.keys() | {tenant_id}) + 1)
        return taken < places * SHARED_FROM or self._open[tenant_id] < share


def size_of(message: InboundMessage) -> int:
    """The bytes a message holds in memory, roughly."""
    return len(message.content) + sum(len(file.data) for file in message.attachments)
