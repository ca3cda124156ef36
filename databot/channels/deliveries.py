"""What is delivered, how one delivery is made, and what follows when it fails: decisions only.

Nothing here waits, counts or remembers; that is the worker's (`outbox`) and the store's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from databot.channels.base import (
    BaseChannel,
    Capabilities,
    Delivery,
    DeliveryError,
    DeliveryRefused,
    RetryAfter,
)
from databot.types.backoff import backoff_s
from databot.types.errors import DatabotError, describe
from databot.types.events import TurnFailed
from databot.types.messages import OutboundMessage, Turn

MAX_ATTEMPTS = 8
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
NOBODY_KNOWS = "it may have been sent, and the platform cannot tell"


def delivery_of(
    turn: Turn, ended: OutboundMessage | TurnFailed, *, channels: Collection[str]
) -> OutboundMessage | None:
    """What is to be delivered when a turn ends: its reply, or the line that says why there is none.

    `None` when the turn did not come from one of the `channels`: its client reads the turn.
    """
    if turn.message.channel not in channels:
        return None
    return failure_message(turn, ended) if isinstance(ended, TurnFailed) else ended


def failure_message(turn: Turn, event: TurnFailed) -> OutboundMessage:
    """The line a person gets instead of an answer."""
    message = turn.message
    return OutboundMessage(
        channel=message.channel,
        chat_id=message.chat_id,
        thread_id=message.thread_id,
        tenant_id=message.tenant_id,
        bot_id=message.bot_id,
        session_id=message.session_id,
        turn_id=turn.id,
        content=f"I could not answer: {event.reason}",
        finish_reason="cancelled" if event.error == "cancelled" else "failed",
    )


async def deliver(channel: BaseChannel, delivery: Delivery) -> str | None:
    """Send it and give the platform's id; one that may have been sent is looked for first, where that is possible.

    Where the platform itself knows a delivery id again, sending it again is the surest look.
    """
    able = channel.capabilities()
    if delivery.unknown and able.can_find and not able.idempotent_sends:
        found = await channel.find_sent(delivery.message, delivery.id)
        if found is not None:
            return found
    return await channel.send(delivery.message, delivery.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What follows from a try that failed: another one after `pause_s`, or none.

    `unknown`: this try, or one before, may have succeeded all the same. `error` is one line, for operators.
    """

    error: str
    pause_s: float | None
    unknown: bool

    def retry_at(self, now: datetime) -> datetime | None:
        return None if self.pause_s is None else now + timedelta(seconds=self.pause_s)


def failure(delivery: Delivery, error: BaseException, able: Capabilities, chance: float) -> Failure:
    """Judge a failed try; `chance`, from 0 to 1, spreads the next ones of many replies over the pause.

    A platform that can neither recognise nor find a message is sent one again only once when nobody knows what became
    of it: people see it twice at most.
    """
    taken = not isinstance(error, DeliveryError)
    told = line_of(error)
    unknown = delivery.unknown or taken
    if isinstance(error, DeliveryRefused) or delivery.attempts >= MAX_ATTEMPTS:
        return Failure(error=told, pause_s=None, unknown=unknown)
    if delivery.unknown and taken and not (able.idempotent_sends or able.can_find):
        return Failure(error=f"{told}; {NOBODY_KNOWS}", pause_s=None, unknown=True)
    if isinstance(error, RetryAfter):
        return Failure(error=told, pause_s=max(0.0, error.seconds), unknown=unknown)
    pause_s = backoff_s(delivery.attempts, chance, base_s=FIRST_PAUSE_S, cap_s=LONGEST_PAUSE_S)
    return Failure(error=told, pause_s=pause_s, unknown=unknown)


def line_of(error: BaseException) -> str:
    """The error in one line; of a vendor's only its type, because its text may hold tokens and addresses."""
    if isinstance(error, TimeoutError):
        return "the platform did not answer in time"
    if isinstance(error, DatabotError):
        return describe(error)
    return f"the channel failed ({type(error).__name__})"
