"""The contract of channels: adapters to the places where people talk.

A channel turns its platform's events into `InboundMessage`s and delivers `OutboundMessage`s. It knows no bus, no
model and no store: it is handed a `publish` function and whole replies. Replies wait for it in the `Outbox`, which
outlives the process, and each is handed over until the channel has it.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from databot.types.errors import DatabotError
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage

Publish = Callable[[InboundMessage], Awaitable[str]]
"""Commits a message and gives the id of its turn; only then may the platform be acknowledged."""


class DeliveryError(DatabotError):
    """The place certainly did not take the message; the same may work later.

    A channel raises it where it knows so: the connection was refused, the platform answered "not now". After any other
    error, a time-out above all, nobody knows whether the message was taken.
    """

    type = "delivery_failed"
    status = 502


class RetryAfter(DeliveryError):
    """The place wants to be left alone for `seconds`."""

    type = "delivery_rate_limited"
    status = 503

    def __init__(self, seconds: float, message: str = "the platform limits the rate") -> None:
        super().__init__(message, hint=f"it is tried again in {seconds:g} s")
        self.seconds = seconds


class DeliveryRefused(DeliveryError):
    """The place will never take this message: the room is gone, databot was removed from it, the text is forbidden."""

    type = "delivery_refused"


class ChannelConfig(BaseModel):
    """Options every channel has; each channel subclasses it beside its own class."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    bot_id: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the platform can do; `max_length` in characters of one message.

    Two of them keep a reply from being seen twice when nobody knows whether it was taken. `idempotent_sends`: the
    platform itself shows only the first message of a delivery id. `can_find`: `find_sent` tells whether there is one.
    """

    streaming: bool = False
    threads: bool = False
    files: bool = False
    max_length: int = 100_000
    idempotent_sends: bool = False
    can_find: bool = False


class BaseChannel(ABC):
    """An adapter to one place. `run` lives as long as the daemon; an error in it restarts this channel only."""

    name: ClassVar[str]
    Config: ClassVar[type[ChannelConfig]] = ChannelConfig

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - an instance of Config
        self.config = config

    def capabilities(self) -> Capabilities:
        """What this place can do."""
        return Capabilities()

    @abstractmethod
    async def run(self, publish: Publish) -> None:
        """Receive until cancelled."""

    @abstractmethod
    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        """Deliver one whole reply; gives the platform's id of it, where it has one.

        `delivery_id` is the same whenever the same reply is sent again, and of no other reply. A reply to somebody who
        is gone for good counts as delivered.

        Raises:
            RetryAfter, DeliveryRefused, DeliveryError: it was not taken. Any other error: nobody knows.
        """

    async def find_sent(self, message: OutboundMessage, delivery_id: str) -> str | None:
        """The platform's id of what was sent under `delivery_id`; `None` when there is nothing.

        Asked only of channels that `can_find`, before a reply is sent whose first sending may have succeeded.
        """
        raise NotImplementedError(f"the channel {self.name} does not say it can find messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A reply on its way out, claimed by one worker.

    `attempts` counts the tries, this one included. `unknown` says that one of those before may have succeeded: its
    worker died while it was sending, or the platform gave no answer.
    """

    id: str
    message: OutboundMessage
    attempts: int
    unknown: bool = False

    @property
    def turn_id(self) -> str:
        return self.message.turn_id

    @property
    def conversation(self) -> ConversationKey:
        """The conversation whose replies this one must not overtake."""
        message = self.message
        return ConversationKey(
            tenant_id=message.tenant_id, bot_id=message.bot_id, session_id=message.session_id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadDelivery:
    """A reply that was given up; `error` says why in one line. One that cannot be read has no `message`."""

    id: str
    channel: str
    message: OutboundMessage | None
    attempts: int
    error: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What has not reached a channel: replies that wait, since when, and those that were given up."""

    waiting: int = 0
    dead: int = 0
    oldest_at: datetime | None = None


class Outbox(Protocol):
    """Replies on their way to channels, kept until each is sent or given up.

    A claim lasts `lease_s` seconds and is renewed while the sending lasts; afterwards anybody may claim the reply, as
    one whose outcome is `unknown`. Claims are told apart by their number: a worker that was overtaken can still say
    that it did send, and nothing else. Every method raises `StorageUnavailable` when the store does not answer.
    """

    lease_s: float

    async def claim(self, channel: str, worker: str, limit: int) -> Sequence[Delivery]:
        """Take up to `limit` replies that are due, at most one of each conversation: the first not sent yet.

        That they are being sent, and how often they were tried, is committed when this returns. One that waits to be
        tried again holds back the later ones of its conversation; one that was given up does not.
        """
        ...

    async def renew(self, deliveries: Sequence[Delivery]) -> None:
        """These are still being sent: their leases begin anew."""
        ...

    async def sent(self, delivery: Delivery, platform_id: str | None = None) -> None:
        """The channel has it."""
        ...

    async def failed(
        self, delivery: Delivery, error: str, *, retry_at: datetime | None, unknown: bool = False
    ) -> None:
        """It was not sent, or nobody knows (`unknown`): try again then, or with `retry_at=None` give it up."""
        ...

    async def backlog(self) -> Mapping[str, Backlog]:
        """What has not reached its channel, by channel."""
        ...

    async def dead(self, tenant_id: str, *, limit: int = 50) -> Sequence[DeadDelivery]:
        """The tenant's replies that were given up, the latest first."""
        ...

    async def retry(self, tenant_id: str, delivery_id: str) -> bool:
        """Send a given-up reply after all; says whether there was such a one."""
        ...
