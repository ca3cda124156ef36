"""The outbox in memory: the same promises as the real one, and nothing survives the process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from databot.channels.base import Backlog, DeadDelivery, Delivery
from databot.types.clock import Clock
from databot.types.messages import ConversationKey, OutboundMessage


@dataclass(slots=True)
class KeptDelivery:
    """A reply and how far it is; `state` as in the table `outbox`."""

    id: str
    message: OutboundMessage
    created_at: datetime
    state: str = "pending"
    attempts: int = 0
    owner: str | None = None
    leased_until: float = 0.0
    next_at: datetime | None = None
    error: str = ""
    platform_id: str | None = None

    @property
    def lane(self) -> tuple[str, ConversationKey]:
        """What it must keep its place in."""
        return self.message.channel, self.claimed().conversation

    def claimed(self) -> Delivery:
        """What a worker is given."""
        return Delivery(
            id=self.id,
            message=self.message,
            attempts=self.attempts,
            unknown=self.state == "unknown",
        )


class MemoryOutbox:
    """An `Outbox`; `put` is what the end of a turn does, `kept` has every reply in order."""

    def __init__(self, clock: Clock, *, lease_s: float = 10.0) -> None:
        self.lease_s = lease_s
        self.kept: dict[str, KeptDelivery] = {}
        self._clock = clock

    def put(self, message: OutboundMessage, part: int | str = 0) -> str:
        """Keep a reply to be delivered, and give its id; the first one of an id stands."""
        name = f"{message.turn_id}:{part if isinstance(part, str) else f'{part:06d}'}"
        self.kept.setdefault(name, KeptDelivery(name, message, self._clock.now()))
        return name

    async def claim(self, channel: str, worker: str, limit: int) -> Sequence[Delivery]:
        taken: list[Delivery] = []
        for item in self._first_ones(channel):
            if len(taken) < limit and self._is_due(item):
                item.state = "sending" if item.state == "pending" else "unknown"
                item.attempts += 1
                item.owner = worker
                item.leased_until = self._clock.monotonic() + self.lease_s
                taken.append(item.claimed())
        return taken

    def _first_ones(self, channel: str) -> list[KeptDelivery]:
        first: dict[tuple[str, ConversationKey], KeptDelivery] = {}
        for item in self.kept.values():
            if item.message.channel == channel and item.state not in {"sent", "dead"}:
                first.setdefault(item.lane, item)
        return list(first.values())

    def _is_due(self, item: KeptDelivery) -> bool:
        waits = item.next_at is not None and item.next_at > self._clock.now()
        return not waits and item.leased_until <= self._clock.monotonic()

    async def renew(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            item = self._of_claim(delivery)
            if item is not None:
                item.leased_until = self._clock.monotonic() + self.lease_s

    def _of_claim(self, delivery: Delivery) -> KeptDelivery | None:
        item = self.kept.get(delivery.id)
        if item is None or item.owner is None or item.attempts != delivery.attempts:
            return None
        return item

    async def sent(self, delivery: Delivery, platform_id: str | None = None) -> None:
        item = self.kept.get(delivery.id)
        if item is not None and item.state != "sent":
            item.state, item.platform_id, item.error = "sent", platform_id, ""
            item.owner, item.leased_until = None, 0.0

    async def failed(
        self, delivery: Delivery, error: str, *, retry_at: datetime | None, unknown: bool = False
    ) -> None:
        item = self._of_claim(delivery)
        if item is None:
            return
        item.error, item.next_at = error, retry_at
        item.owner, item.leased_until = None, 0.0
        if retry_at is None:
            item.state = "dead"
        else:
            item.state = "unknown" if unknown else "pending"

    async def backlog(self) -> Mapping[str, Backlog]:
        channels: dict[str, list[KeptDelivery]] = {}
        for item in self.kept.values():
            if item.state != "sent":
                channels.setdefault(item.message.channel, []).append(item)
        return {channel: backlog_of(items) for channel, items in channels.items()}

    async def dead(self, tenant_id: str, *, limit: int = 50) -> Sequence[DeadDelivery]:
        letters = [
            DeadDelivery(
                id=item.id,
                channel=item.message.channel,
                message=item.message,
                attempts=item.attempts,
                error=item.error,
                created_at=item.created_at,
            )
            for item in reversed(self.kept.values())
            if item.state == "dead" and item.message.tenant_id == tenant_id
        ]
        return letters[:limit]

    async def retry(self, tenant_id: str, delivery_id: str) -> bool:
        item = self.kept.get(delivery_id)
        if item is None or item.state != "dead" or item.message.tenant_id != tenant_id:
            return False
        item.state, item.attempts, item.next_at = "unknown", 0, None
        return True


def backlog_of(items: Sequence[KeptDelivery]) -> Backlog:
    waiting = [item.created_at for item in items if item.state != "dead"]
    return Backlog(
        waiting=len(waiting),
        dead=len(items) - len(waiting),
        oldest_at=min(waiting, default=None),
    )
