"""Who works on which conversation, in the tables `conversation` (lease and fence) and `inbox` (the turn)."""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite spells ON CONFLICT alike

from databot.storage.approvals import approval_params
from databot.storage.base import (
    OPEN_STATES,
    ApprovalRequest,
    Claim,
    Renewal,
    Step,
    TurnRecord,
    TurnState,
    Worker,
)
from databot.storage.codec import decode_message, dumps, from_micros, key_params, to_micros
from databot.storage.database import Action, Database, Params, Query, Row, single
from databot.storage.journal import HELD, LAST_STEP, QUESTION, require_held, step_params
from databot.storage.leases import NOW_NAME, TTL, WORKER, is_free, lease_end
from databot.storage.names import is_key
from databot.storage.outbox import ENQUEUE, enqueue_params
from databot.storage.replies import encode_reply
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import approval, conversation, inbox
from databot.storage.turns import KEY, Begun
from databot.types.clock import Clock
from databot.types.messages import ConversationKey, OutboundMessage

NOW = param(inbox.c.accepted_at, "now")
ONE, NOBODY = fixed("1"), fixed("NULL")
IS_OPEN = inbox.c.ended_at.is_(None)
IS_READY = and_(IS_OPEN, inbox.c.state != fixed("'waiting'"))
ITS_TURN = inbox.c.conversation_id == conversation.c.id
IS_FREE = is_free(conversation.c.owner, conversation.c.lease_until)

TAKE = (
    update(conversation)
    .where(same(*KEY), IS_FREE, select(ONE).where(ITS_TURN, IS_READY).exists())
    .values(
        fence=conversation.c.fence + ONE,
        owner=param(conversation.c.owner, WORKER),
        lease_until=lease_end(),
        updated_at=NOW,
    )
    .returning(conversation.c.fence)
)
NEXT = inbox.alias("next")
EARLIEST = (
    select(func.min(NEXT.c.seq))
    .join_from(NEXT, conversation, NEXT.c.conversation_id == conversation.c.id)
    .where(same(*KEY), conversation.c.owner == param(conversation.c.owner, WORKER))
    .where(NEXT.c.ended_at.is_(None), NEXT.c.state != fixed("'waiting'"))
    .scalar_subquery()
)
BEGIN = (
    update(inbox)
    .where(inbox.c.seq == EARLIEST)
    .values(
        state=fixed("'running'"),
        attempts=inbox.c.attempts + ONE,
        claims=inbox.c.claims + ONE,
        begun_at=func.coalesce(inbox.c.begun_at, NOW),
    )
    .returning(
        inbox.c.turn_id,
        inbox.c.seq,
        inbox.c.attempts,
        inbox.c.claims,
        inbox.c.stop_asked,
        inbox.c.accepted_at,
        inbox.c.question,
        inbox.c.body,
        inbox.c.attachments,
    )
)
OF_TURN = select(inbox.c.conversation_id).where(same(inbox.c.turn_id), IS_OPEN).scalar_subquery()
# First in its unit: it locks the conversation. The fence stays, so what follows is still written under this claim.
LET_GO = (
    update(conversation)
    .where(conversation.c.id == OF_TURN, same(conversation.c.fence))
    .values(owner=NOBODY, lease_until=fixed("0"))
    .returning(conversation.c.id)
)
IS_CLAIMED = and_(
    same(inbox.c.turn_id),
    IS_OPEN,
    select(ONE).where(ITS_TURN, same(conversation.c.fence)).exists(),
)
END = (
    update(inbox)
    .where(IS_CLAIMED)
    .values(
        state=param(inbox.c.state, "end_state"),
        ended_at=NOW,
        fence=param(inbox.c.fence),
        reply=param(inbox.c.reply, "end_reply"),
        error=param(inbox.c.error, "end_error"),
    )
    .returning(inbox.c.seq)
)
HOLD = (
    update(inbox)
    .where(IS_CLAIMED)
    .values(state=fixed("'waiting'"), attempts=fixed("0"))
    .returning(inbox.c.seq)
)
GIVE_BACK = (
    update(inbox)
    .where(IS_CLAIMED)
    .values(
        state=fixed("'queued'"),
        attempts=case((inbox.c.attempts > fixed("0"), inbox.c.attempts - ONE), else_=fixed("0")),
    )
)
SAME = inbox.alias("same")
MORE = at_most(
    select(ONE)
    .select_from(SAME)
    .where(SAME.c.turn_id == param(inbox.c.turn_id))
    .where(inbox.c.conversation_id == SAME.c.conversation_id, IS_READY),
    ONE,
)
ENDED_BY = select(inbox.c.fence).where(same(inbox.c.turn_id), ~IS_OPEN)
ASK = (
    insert(approval)
    .from_select(
        [column.name for column in approval.c if column.nullable is False],
        select(
            param(approval.c.id, "approval_id"),
            inbox.c.tenant_id,
            inbox.c.conversation_id,
            inbox.c.turn_id,
            *(param(approval.c[name]) for name in ("call_id", "tool", "arguments", "digest")),
            fixed("'pending'"),
            param(approval.c.requested_at, "now"),
            param(approval.c.expires_at),
        ).where(IS_CLAIMED),
    )
    .on_conflict_do_nothing()
)
RENEW = (
    update(conversation)
    .where(conversation.c.id == OF_TURN, same(conversation.c.fence))
    .values(lease_until=lease_end())
    .returning(select(inbox.c.stop_asked).where(same(inbox.c.turn_id)).scalar_subquery())
)
STRANDED = at_most(
    select(*KEY)
    .distinct()
    .join_from(inbox, conversation, ITS_TURN)
    .where(IS_READY, IS_FREE, inbox.c.accepted_at <= param(inbox.c.accepted_at, "before")),
    param(inbox.c.seq, "count"),
)


class SqlClaims:
    """The claims, in a database."""

    def __init__(self, database: Database, clock: Clock, worker: Worker, begun: Begun) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._begun = begun
        prepare = database.prepare
        self._take, self._begin = prepare(TAKE), prepare(BEGIN)
        self._let_go, self._end, self._more = prepare(LET_GO), prepare(END), prepare(MORE)
        self._question, self._last_step = prepare(QUESTION), prepare(LAST_STEP)
        self._hold, self._ask, self._give_back = prepare(HOLD), prepare(ASK), prepare(GIVE_BACK)
        self._ended_by, self._held = prepare(ENDED_BY), prepare(HELD)
        self._enqueue = prepare(ENQUEUE)
        self._renew, self._stranded = prepare(RENEW), prepare(STRANDED)

    async def claim(self, conversation: ConversationKey, *, certain: bool = True) -> Claim | None:
        if not is_key(conversation):
            return None
        params = {**key_params(conversation), **self._lease(), "now": self._now()}
        unit = ((self._take, params), (self._begin, params))
        taken, begun = await self._database.write(unit, durable=certain)
        if not begun:
            return None
        claim = claim_of(conversation, taken[0][0], begun[0])
        self._begun.add(claim.turn_id)
        return claim

    async def settle(
        self,
        claim: Claim,
        state: TurnState,
        *,
        steps: Sequence[Step] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        if state in OPEN_STATES:
            raise ValueError(f"{state!r} does not end a turn")
        now = self._now()
        end = {
            "turn_id": claim.turn_id,
            "fence": claim.fence,
            "now": now,
            "end_state": state,
            "end_reply": encode_reply(reply) if reply else None,
            "end_error": dumps(dict(error)) if error else None,
        }
        before = [(self._question, end)]
        before += [(self._last_step, step_params(claim, step, now)) for step in steps]
        if deliver is not None:
            before.append(
                (self._enqueue, enqueue_params(deliver, claim.fence, now, part=claim.fence))
            )
        return await self._leave(claim, end, before, self._end)

    async def hold(self, claim: Claim, approvals: Sequence[ApprovalRequest]) -> bool:
        params = {"turn_id": claim.turn_id, "fence": claim.fence, "now": self._now()}
        asked = [(self._ask, {**params, **approval_params(item)}) for item in approvals]
        return await self._leave(claim, params, asked, self._hold)

    async def _leave(
        self, claim: Claim, params: Params, before: Sequence[Action], last: Query
    ) -> bool:
        """Write `before` and `last` and let go of the conversation; says whether another turn of it waits."""
        unit = [(self._let_go, params), *before, (last, params), (self._more, params)]
        results = await self._database.write(unit)
        if not results[-2]:
            await self._require_ours(claim, params)
        self._begun.discard(claim.turn_id)
        return bool(results[-1])

    async def _require_ours(self, claim: Claim, params: Params) -> None:
        """Nothing was written: this claim did so before (a unit may be run twice), or it was lost."""
        ended_by = await self._database.read(self._ended_by, params, single)
        if ended_by is not None and ended_by[0] == claim.fence:
            return
        require_held(await self._database.read(self._held, params, single), claim.turn_id)

    async def release(self, claim: Claim) -> None:
        params = {"turn_id": claim.turn_id, "fence": claim.fence, "now": self._now()}
        await self._database.write([(self._let_go, params), (self._give_back, params)])
        self._begun.discard(claim.turn_id)

    async def renew(self, claims: Sequence[Claim]) -> Sequence[Renewal]:
        lease = self._lease()
        unit = [
            (self._renew, {**lease, "turn_id": claim.turn_id, "fence": claim.fence})
            for claim in claims
        ]
        results = await self._database.write(unit) if unit else ()
        return [Renewal(lost=not rows, stop_asked=bool(rows and rows[0][0])) for rows in results]

    async def stranded(
        self, older_than_s: float, *, limit: int = 1_000
    ) -> Sequence[ConversationKey]:
        before = self._now() - int(older_than_s * 1_000_000)
        params = {**self._lease(), "before": before, "count": limit}
        return await self._database.read(self._stranded, params, keys_of)

    def _lease(self) -> dict[str, object]:
        return {
            WORKER: self._worker.name,
            TTL: int(self._worker.ttl_s * 1_000_000),
            NOW_NAME: int(self._clock.monotonic() * 1_000_000),
        }

    def _now(self) -> int:
        return to_micros(self._clock.now())


def claim_of(key: ConversationKey, fence: int, row: Row) -> Claim:
    turn_id, seq, attempts, claims, stop_asked, accepted_at, *said = row
    record = TurnRecord(
        turn_id=turn_id,
        conversation=key,
        seq=seq,
        message=decode_message(*said),
        state="running",
        accepted_at=from_micros(accepted_at),
    )
    return Claim(
        record=record,
        fence=fence,
        attempt=attempts,
        resumed=claims > 1,
        stop_asked=bool(stop_asked),
    )


def keys_of(rows: Sequence[Row]) -> list[ConversationKey]:
    return [ConversationKey(tenant_id=row[0], bot_id=row[1], session_id=row[2]) for row in rows]
