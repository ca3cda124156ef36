"""The statements by which replies in the table `outbox` are claimed, sent and put off: see `outbox` for who runs them.

A claim is named by the reply and the number of the try (`attempts`), which no two claims share.
"""

from sqlalchemy import and_, case, or_, select, update

from databot.storage.leases import WORKER, is_live, lease_end
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import outbox

PENDING, SENDING, UNKNOWN = fixed("'pending'"), fixed("'sending'"), fixed("'unknown'")
SENT, DEAD = fixed("'sent'"), fixed("'dead'")
NOTHING, NEVER = fixed("NULL"), fixed("0")
NOW = param(outbox.c.created_at, "now")

IS_OPEN = and_(outbox.c.sent_at.is_(None), outbox.c.state != DEAD)
IS_DUE = or_(outbox.c.next_at <= NOW, outbox.c.next_at > param(outbox.c.next_at, "too_late"))
IS_THIS_CLAIM = and_(same(outbox.c.id, outbox.c.attempts), outbox.c.owner.is_not(None))
earlier = outbox.alias("earlier")
IS_FIRST = ~(
    select(fixed("1"))
    .where(
        earlier.c.channel == outbox.c.channel,
        earlier.c.conversation_id == outbox.c.conversation_id,
        earlier.c.sent_at.is_(None),
        earlier.c.state != DEAD,
        or_(
            earlier.c.seq < outbox.c.seq,
            and_(earlier.c.seq == outbox.c.seq, earlier.c.id < outbox.c.id),
        ),
    )
    .exists()
)
# In the order of the index and from where the last claim ended: sorted by age, a long backlog would be read whole for
# every few replies, and from the top each time, a busy conversation would be served before all others.
DUE = (
    at_most(
        select(outbox.c.id)
        .where(
            same(outbox.c.channel),
            outbox.c.conversation_id > param(outbox.c.conversation_id, "after"),
            IS_OPEN,
            IS_DUE,
            ~is_live(outbox.c.lease_until),
            IS_FIRST,
        )
        .order_by(outbox.c.conversation_id),
        param(outbox.c.seq, "count"),
    )
    .with_for_update(of=outbox, skip_locked=True)
    .cte("due")
)
CLAIM = (
    update(outbox)
    .where(outbox.c.id.in_(select(DUE.c.id)))
    .values(
        state=case((outbox.c.state == PENDING, SENDING), else_=UNKNOWN),
        attempts=outbox.c.attempts + fixed("1"),
        owner=param(outbox.c.owner, WORKER),
        lease_until=lease_end(),
    )
    .returning(
        outbox.c.conversation_id, outbox.c.id, outbox.c.state, outbox.c.attempts, outbox.c.body
    )
)
RENEW = update(outbox).where(IS_THIS_CLAIM).values(lease_until=lease_end())
FREE = {"owner": NOTHING, "lease_until": NEVER}
# Whoever says so: what was sent is sent, also when another worker has claimed it meanwhile.
SUCCEED = (
    update(outbox)
    .where(same(outbox.c.id), outbox.c.sent_at.is_(None))
    .values(
        state=SENT,
        sent_at=NOW,
        platform_id=param(outbox.c.platform_id),
        error=NOTHING,
        **FREE,
    )
)
FAIL = (
    update(outbox)
    .where(IS_THIS_CLAIM)
    .values(
        state=param(outbox.c.state, "end_state"),
        error=param(outbox.c.error),
        next_at=param(outbox.c.next_at),
        **FREE,
    )
)
