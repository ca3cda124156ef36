"""What people are asked about tool calls, in the table `approval`, and the turns that wait for it, in `inbox`.

Asking is a part of `claims`: a call is asked about in the transaction that lets its turn wait.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import and_, select, update

from databot.storage.base import ApprovalRequest
from databot.storage.codec import dumps, from_micros, loads, to_micros
from databot.storage.database import Database, Params, Query, Row, single
from databot.storage.names import clean_label, holdable, is_name
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import approval, conversation, inbox
from databot.storage.turns import KEY
from databot.tools.base import Approval, ApprovalState, Verdict
from databot.types.clock import Clock
from databot.types.messages import ConversationKey

DECIDER_LENGTH = 200
STATES: dict[Verdict, ApprovalState] = {"approve": "approved", "deny": "denied"}

NOW = param(approval.c.requested_at, "now")
ONE = fixed("1")
COUNT = param(inbox.c.seq, "count")
OF_TENANT = same(approval.c.id, approval.c.tenant_id)
IS_PENDING = approval.c.state == fixed("'pending'")
IS_LIVE = and_(IS_PENDING, approval.c.expires_at > NOW)
IS_WAITING = and_(inbox.c.ended_at.is_(None), inbox.c.state == fixed("'waiting'"))
ITS_CONVERSATION = approval.c.conversation_id == conversation.c.id

FOUND = select(
    approval.c.id,
    *KEY,
    approval.c.turn_id,
    approval.c.call_id,
    approval.c.tool,
    approval.c.arguments,
    approval.c.digest,
    approval.c.state,
    approval.c.requested_at,
    approval.c.expires_at,
    approval.c.decided_at,
    approval.c.decided_by,
    approval.c.note,
).join_from(approval, conversation, ITS_CONVERSATION)
BY_ID = FOUND.where(OF_TENANT)
BY_CALL = FOUND.where(same(approval.c.tenant_id, approval.c.turn_id, approval.c.call_id))
OLDEST_FIRST = (approval.c.requested_at, approval.c.id)
PENDING = at_most(FOUND.where(same(approval.c.tenant_id), IS_LIVE).order_by(*OLDEST_FIRST), COUNT)
PENDING_OF_TURN = at_most(
    FOUND.where(same(approval.c.tenant_id, approval.c.turn_id), IS_LIVE).order_by(*OLDEST_FIRST),
    COUNT,
)
# Whoever writes of a turn locks its conversation first: two decisions on one turn then come one after the other.
LOCK = (
    select(conversation.c.id)
    .join_from(approval, conversation, ITS_CONVERSATION)
    .where(OF_TENANT)
    .with_for_update(of=conversation)
)
DECIDE = (
    update(approval)
    .where(OF_TENANT, IS_LIVE)
    .values(
        state=param(approval.c.state, "verdict"),
        decided_at=NOW,
        decided_by=param(approval.c.decided_by),
        note=param(approval.c.note),
    )
)
# A live question of the turn, seen from the row of its turn.
ASKED = approval.alias("asked")
STILL_ASKED = (
    select(ONE)
    .where(ASKED.c.turn_id == inbox.c.turn_id, ASKED.c.state == fixed("'pending'"))
    .where(ASKED.c.expires_at > NOW)
    .correlate(inbox)
    .exists()
)
DECIDED_TURN = (
    select(approval.c.turn_id)
    .where(OF_TENANT, approval.c.state.in_([fixed("'approved'"), fixed("'denied'")]))
    .scalar_subquery()
)
WAKE_DECIDED = (
    update(inbox)
    .where(inbox.c.turn_id == DECIDED_TURN, IS_WAITING, ~STILL_ASKED)
    .values(state=fixed("'queued'"))
)
OVERDUE = at_most(
    select(inbox.c.turn_id, *KEY)
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(IS_WAITING, ~STILL_ASKED)
    .order_by(inbox.c.seq),
    COUNT,
)
OF_TURN = same(inbox.c.turn_id, inbox.c.tenant_id)
LOCK_TURN = (
    select(conversation.c.id)
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(OF_TURN)
    .with_for_update(of=conversation)
)
EXPIRE = (
    update(approval)
    .where(same(approval.c.turn_id, approval.c.tenant_id), IS_PENDING)
    .where(approval.c.expires_at <= NOW)
    .values(state=fixed("'expired'"), decided_at=NOW)
)
WAKE = (
    update(inbox)
    .where(OF_TURN, IS_WAITING, ~STILL_ASKED)
    .values(state=fixed("'queued'"))
    .returning(inbox.c.seq)
)


class SqlApprovals:
    """The approvals, in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        prepare = database.prepare
        self._by_id, self._by_call = prepare(BY_ID), prepare(BY_CALL)
        self._pending, self._pending_of_turn = prepare(PENDING), prepare(PENDING_OF_TURN)
        self._decide = [prepare(statement) for statement in (LOCK, DECIDE, WAKE_DECIDED, BY_ID)]
        self._overdue = prepare(OVERDUE)
        self._expire = [prepare(statement) for statement in (LOCK_TURN, EXPIRE, WAKE)]

    async def pending(
        self, tenant_id: str, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        if not is_name(tenant_id) or not is_name(turn_id or ""):
            return ()
        query = self._pending if turn_id is None else self._pending_of_turn
        params = {"tenant_id": tenant_id, "turn_id": turn_id, "count": limit}
        return await self._read(query, params)

    async def find(self, tenant_id: str, approval_id: str) -> Approval | None:
        if not (is_name(tenant_id) and is_name(approval_id)):
            return None
        found = await self._read(self._by_id, {"tenant_id": tenant_id, "id": approval_id})
        return found[0] if found else None

    async def decide(
        self, tenant_id: str, approval_id: str, verdict: Verdict, *, by: str, note: str = ""
    ) -> Approval | None:
        if not (is_name(tenant_id) and is_name(approval_id)):
            return None
        now = self._now()
        params = {
            "id": approval_id,
            "tenant_id": tenant_id,
            "verdict": STATES[verdict],
            "decided_by": clean_label(by, DECIDER_LENGTH),
            "note": dumps(note),  # JSON, because a plain text column cannot hold every text
            "now": now,
        }
        *_, rows = await self._database.write([(query, params) for query in self._decide])
        row = single(rows)
        if row is None:
            return None
        # The unit may have been run twice, and then wrote nothing the second time: what stands says whose it is.
        found = decode(row, now)
        mine = STATES[verdict], from_micros(now), params["decided_by"]
        return found if (found.state, found.decided_at, found.decided_by) == mine else None

    async def asked(self, tenant_id: str, turn_id: str, call_id: str) -> Approval | None:
        if not (is_name(tenant_id) and is_name(turn_id) and is_name(call_id)):
            return None
        params = {"tenant_id": tenant_id, "turn_id": turn_id, "call_id": call_id}
        found = await self._read(self._by_call, params)
        return found[0] if found else None

    async def expire(self, *, limit: int = 100) -> Sequence[ConversationKey]:
        now = self._now()
        overdue = await self._database.read(self._overdue, {"now": now, "count": limit}, turns_of)
        woken: list[ConversationKey] = []
        for turn_id, key in overdue:
            params = {"turn_id": turn_id, "tenant_id": key.tenant_id, "now": now}
            await self._database.write([(query, params) for query in self._expire])
            woken.append(key)
        return woken

    async def _read(self, query: Query, params: Params) -> list[Approval]:
        now = self._now()
        return await self._database.read(
            query, {**params, "now": now}, lambda rows: [decode(row, now) for row in rows]
        )

    def _now(self) -> int:
        return to_micros(self._clock.now())


def decode(row: Row, now: int) -> Approval:
    """A row of `FOUND`, as it stands at `now`."""
    approval_id, tenant_id, bot_id, session_id, *call, state, asked, expires, at, by, note = row
    turn_id, call_id, tool, arguments, digest = call
    over = state == "pending" and expires <= now
    return Approval(
        id=approval_id,
        conversation=ConversationKey(tenant_id=tenant_id, bot_id=bot_id, session_id=session_id),
        turn_id=turn_id,
        call_id=call_id,
        tool=tool,
        arguments=arguments,
        digest=digest,
        state="expired" if over else cast("ApprovalState", state),
        requested_at=from_micros(asked),
        expires_at=from_micros(expires),
        decided_at=decided(at),
        decided_by=by or "",
        note=loads(note) if note else "",
    )


def decided(at: int | None) -> datetime | None:
    return None if at is None else from_micros(at)


def turns_of(rows: Sequence[Row]) -> list[tuple[str, ConversationKey]]:
    return [
        (row[0], ConversationKey(tenant_id=row[1], bot_id=row[2], session_id=row[3]))
        for row in rows
    ]


def approval_params(request: ApprovalRequest) -> dict[str, object]:
    return {
        "approval_id": request.id,
        "call_id": request.call_id,
        "tool": request.tool,
        "arguments": holdable(request.arguments),
        "digest": request.digest,
        "expires_at": to_micros(request.expires_at),
    }
