"""The statements of claims: who has a conversation (`conversation`), and what becomes of the turn (`inbox`).

Every write after the claim is bound to its fence and to a turn that runs. Not here: which of them make one unit.
"""

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite spells ON CONFLICT alike

from databot.storage.base import MANY_CLAIMS
from databot.storage.journal import IS_RUNNING
from databot.storage.leases import WORKER, is_free, lease_end
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import approval, conversation, inbox
from databot.storage.turns import KEY

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
# On PostgreSQL the turn may have ended while the claim waited for the conversation's row: then it has nothing.
LEAVE = (
    update(conversation)
    .where(same(*KEY, conversation.c.fence))
    .values(owner=NOBODY, lease_until=fixed("0"))
)
OF_TURN = select(inbox.c.conversation_id).where(same(inbox.c.turn_id), IS_RUNNING).scalar_subquery()
# First in its unit: it locks the conversation. The fence stays, so what follows is still written under this claim.
LET_GO = (
    update(conversation)
    .where(conversation.c.id == OF_TURN, same(conversation.c.fence))
    .values(owner=NOBODY, lease_until=fixed("0"))
    .returning(conversation.c.id)
)
IS_CLAIMED = and_(
    same(inbox.c.turn_id),
    IS_RUNNING,
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
IS_WANTED = inbox.c.stop_asked == fixed("0")
# A turn that a person stopped meanwhile waits for nobody: the next claim ends it.
HOLD = (
    update(inbox)
    .where(IS_CLAIMED)
    .values(
        state=case((IS_WANTED, fixed("'waiting'")), else_=fixed("'queued'")), attempts=fixed("0")
    )
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
OUTLIVED = (
    update(inbox)
    .where(same(inbox.c.turn_id), IS_OPEN, inbox.c.attempts > fixed("0"))
    .where(inbox.c.claims <= fixed(f"{MANY_CLAIMS}"))
    .values(attempts=inbox.c.attempts - ONE)
)
# What a claim finds that did this before: a unit may be run twice, and the second time it is no claim any more.
ENDED = select(ONE).where(same(inbox.c.turn_id, inbox.c.fence), ~IS_OPEN)
LEFT = select(ONE).where(
    same(inbox.c.turn_id, conversation.c.fence), ITS_TURN, IS_OPEN, ~IS_RUNNING
)
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
        ).where(IS_CLAIMED, IS_WANTED),
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
