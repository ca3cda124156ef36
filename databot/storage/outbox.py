"""Replies on their way to channels, in the table `outbox`.

A row is written in the transaction that ends its turn (`ENQUEUE`): there is one to send exactly when there is a reply.
It goes from `pending` to `sending` before anything is sent; one found `sending` with its lease over is `unknown` from
then on, because it may have been sent. It ends as `sent` or `dead`. Not here: the sending (`channels`).
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from sqlalchemy import and_, case, func, select, update

from databot.channels.base import Backlog, DeadDelivery, Delivery
from databot.storage.codec import from_micros, to_micros
from databot.storage.database import Action, Database, Params, Row
from databot.storage.journal import IS_RUNNING
from databot.storage.leases import NOW_NAME, TTL, WORKER
from databot.storage.names import is_name
from databot.storage.outbox_claims import (
    CLAIM,
    DEAD,
    FAIL,
    NEVER,
    NOTHING,
    NOW,
    PENDING,
    RENEW,
    SUCCEED,
    UNKNOWN,
)
from databot.storage.replies import decode_reply, encode_reply
from databot.storage.statements import at_most, fixed, insert_chosen, param, same
from databot.storage.tables import conversation, inbox, outbox
from databot.types.clock import Clock
from databot.types.messages import OutboundMessage

log = logging.getLogger(__name__)
LEASE_S = 10.0
LONGEST_WAIT = timedelta(hours=1)
"""No reply is put off for longer; a time further ahead was written by a clock that has been set since."""
LONGEST_ERROR = 500
BEGINNING = -1
UNREADABLE = "the stored reply cannot be read; it may come from a newer databot"

REPLY_ROW = {
    outbox.c.id: param(outbox.c.id, "delivery_id"),
    outbox.c.conversation_id: inbox.c.conversation_id,
    outbox.c.seq: inbox.c.seq,
    outbox.c.tenant_id: inbox.c.tenant_id,
    outbox.c.channel: param(outbox.c.channel, "delivery_channel"),
    outbox.c.body: param(outbox.c.body, "delivery_body"),
    outbox.c.state: PENDING,
    outbox.c.created_at: NOW,
}
ENQUEUE = insert_chosen(
    outbox,
    REPLY_ROW,
    and_(
        same(inbox.c.turn_id),
        IS_RUNNING,
        select(fixed("1"))
        .where(inbox.c.conversation_id == conversation.c.id, same(conversation.c.fence))
        .exists(),
    ),
    locking=inbox,
).on_conflict_do_nothing()

IS_DEAD = and_(outbox.c.sent_at.is_(None), outbox.c.state == DEAD)
BACKLOG = (
    select(
        outbox.c.channel,
        func.sum(case((outbox.c.state == DEAD, fixed("0")), else_=fixed("1"))),
        func.sum(case((outbox.c.state == DEAD, fixed("1")), else_=fixed("0"))),
        func.min(case((outbox.c.state == DEAD, NOTHING), else_=outbox.c.created_at)),
    )
    .where(outbox.c.sent_at.is_(None))
    .group_by(outbox.c.channel)
)
LETTERS = at_most(
    select(
        outbox.c.id,
        outbox.c.channel,
        outbox.c.body,
        outbox.c.attempts,
        outbox.c.error,
        outbox.c.created_at,
    )
    .where(same(outbox.c.tenant_id), IS_DEAD)
    .order_by(outbox.c.created_at.desc(), outbox.c.id.desc()),
    param(outbox.c.seq, "count"),
)
# Its last try may have succeeded: `unknown` makes the next one look first, where the channel can.
REVIVE = (
    update(outbox)
    .where(same(outbox.c.tenant_id, outbox.c.id), IS_DEAD)
    .values(state=UNKNOWN, attempts=NEVER, next_at=NEVER)
    .returning(outbox.c.id)
)


def enqueue_params(message: OutboundMessage, fence: int, now: int, part: int = 0) -> Params:
    """The parameters of `ENQUEUE`, before the turn's end in its unit.

    `fence` is the claim's: who has lost the turn says nothing more. `part` tells the deliveries of one turn apart and
    orders them: a dead letter that is tried again is answered after the line that said there was no answer.
    """
    return {"fence": fence, **reply_params(message, f"{part:06d}", now)}


def reply_params(message: OutboundMessage, part: str, now: int) -> Params:
    """The parameters of `REPLY_ROW`; the parts of a turn are sent in the order of their names."""
    return {
        "turn_id": message.turn_id,
        "delivery_id": f"{message.turn_id}:{part}",
        "delivery_channel": message.channel,
        "delivery_body": encode_reply(message),
        "now": now,
    }


class SqlOutbox:
    """The outbox, in a database."""

    def __init__(self, database: Database, clock: Clock, *, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self._database = database
        self._clock = clock
        self._after: dict[str, int] = {}
        prepare = database.prepare
        self._claim, self._renew = prepare(CLAIM), prepare(RENEW)
        self._succeed, self._fail = prepare(SUCCEED), prepare(FAIL)
        self._backlog, self._letters, self._revive = (
            prepare(BACKLOG),
            prepare(LETTERS),
            prepare(REVIVE),
        )

    async def claim(self, channel: str, worker: str, limit: int) -> Sequence[Delivery]:
        after = self._after.pop(channel, BEGINNING)
        rows = list(await self._claim_after(after, channel, worker, limit))
        if len(rows) < limit and after > BEGINNING:
            rows += await self._claim_after(BEGINNING, channel, worker, limit - len(rows))
        elif rows:
            self._after[channel] = max(row[0] for row in rows)
        return await self._readable(sorted(rows, key=itemgetter(0)))

    async def _claim_after(
        self, after: int, channel: str, worker: str, limit: int
    ) -> Sequence[Row]:
        params = {
            **self._lease(),
            "channel": channel,
            WORKER: worker,
            "count": limit,
            "after": after,
            "now": to_micros(self._clock.now()),
            "too_late": to_micros(self._clock.now() + LONGEST_WAIT),
        }
        return (await self._database.write([(self._claim, params)]))[0]

    async def _readable(self, rows: Sequence[Row]) -> list[Delivery]:
        """What the rows stand for; one that cannot be read is given up, and holds no other back."""
        deliveries: list[Delivery] = []
        for _, name, state, attempts, body in rows:
            message = read(body)
            if message is None:
                log.error("reply %s is given up: %s", name, UNREADABLE)
                await self._give_up({"id": name, "attempts": attempts}, UNREADABLE)
                continue
            unknown = state == "unknown"
            deliveries.append(
                Delivery(id=name, message=message, attempts=attempts, unknown=unknown)
            )
        return deliveries

    async def renew(self, deliveries: Sequence[Delivery]) -> None:
        lease = self._lease()
        unit: list[Action] = [
            (self._renew, {**lease, **claim_params(delivery)}) for delivery in deliveries
        ]
        if unit:
            await self._database.write(unit)

    async def sent(self, delivery: Delivery, platform_id: str | None = None) -> None:
        params = {
            "id": delivery.id,
            "platform_id": platform_id,
            "now": to_micros(self._clock.now()),
        }
        await self._database.write([(self._succeed, params)])

    async def failed(
        self, delivery: Delivery, error: str, *, retry_at: datetime | None, unknown: bool = False
    ) -> None:
        if retry_at is None:
            return await self._give_up(claim_params(delivery), error)
        latest = self._clock.now() + LONGEST_WAIT
        params = {
            **claim_params(delivery),
            "end_state": "unknown" if unknown else "pending",
            "error": storable(error),
            "next_at": to_micros(min(retry_at, latest)),
        }
        await self._database.write([(self._fail, params)])
        return None

    async def _give_up(self, claim: Params, error: str) -> None:
        params = {**claim, "end_state": "dead", "error": storable(error), "next_at": 0}
        await self._database.write([(self._fail, params)])

    async def backlog(self) -> Mapping[str, Backlog]:
        return await self._database.read(self._backlog, {}, decode_backlog)

    async def dead(self, tenant_id: str, *, limit: int = 50) -> Sequence[DeadDelivery]:
        if not is_name(tenant_id):
            return []
        params = {"tenant_id": tenant_id, "count": limit}
        return await self._database.read(self._letters, params, decode_letters)

    async def retry(self, tenant_id: str, delivery_id: str) -> bool:
        if not (is_name(tenant_id) and is_name(delivery_id)):
            return False
        params = {"tenant_id": tenant_id, "id": delivery_id}
        return bool((await self._database.write([(self._revive, params)]))[0])

    def _lease(self) -> Params:
        return {
            TTL: round(self.lease_s * 1_000_000),
            NOW_NAME: round(self._clock.monotonic() * 1_000_000),
        }


def claim_params(delivery: Delivery) -> Params:
    """The parameters that name one claim of one delivery."""
    return {"id": delivery.id, "attempts": delivery.attempts}


def storable(error: str) -> str:
    """The line as any database can hold it."""
    return error[:LONGEST_ERROR].replace("\0", "").encode("utf-8", "replace").decode()


def decode_backlog(rows: Sequence[Row]) -> dict[str, Backlog]:
    return {
        channel: Backlog(
            waiting=int(waiting),
            dead=int(dead),
            oldest_at=None if oldest is None else from_micros(oldest),
        )
        for channel, waiting, dead, oldest in rows
    }


def decode_letters(rows: Sequence[Row]) -> list[DeadDelivery]:
    return [
        DeadDelivery(
            id=name,
            channel=channel,
            message=read(body),
            attempts=attempts,
            error=error or "",
            created_at=from_micros(created_at),
        )
        for name, channel, body, attempts, error, created_at in rows
    ]


def read(body: str) -> OutboundMessage | None:
    """The stored reply, if this databot understands it."""
    try:
        return decode_reply(body)
    except (ValueError, TypeError, KeyError):
        return None
