"""The statements of the inbox: keeping messages, finding turns, stopping them and trying dead ones again.

Not here: which of them make one unit (`inbox`).
"""

from sqlalchemy import and_, func, or_, select, update

from databot.storage.journal import QUESTION_ROW
from databot.storage.outbox import REPLY_ROW
from databot.storage.statements import at_most, fixed, insert_chosen, param, same
from databot.storage.tables import approval, conversation, inbox, journal, outbox
from databot.storage.turns import KEY, RECORD

NOW = param(inbox.c.accepted_at, "now")
IS_REDELIVERY = same(inbox.c.tenant_id, inbox.c.channel, inbox.c.external_id)
IS_OPEN = inbox.c.ended_at.is_(None)
IS_IDLE = inbox.c.state.in_([fixed("'queued'"), fixed("'waiting'")])
COUNTED = inbox.alias("counted")
WAITING = (
    select(func.count())
    .select_from(COUNTED)
    .where(COUNTED.c.conversation_id == conversation.c.id, COUNTED.c.ended_at.is_(None))
    .where(COUNTED.c.state == fixed("'queued'"))
    .scalar_subquery()
)
NAMED = conversation.alias("named")
WAITING_BY_NAME = (
    select(func.count())
    .select_from(COUNTED)
    .join(NAMED, COUNTED.c.conversation_id == NAMED.c.id)
    .where(same(*(NAMED.c[column.name] for column in KEY)))
    .where(COUNTED.c.ended_at.is_(None), COUNTED.c.state == fixed("'queued'"))
    .scalar_subquery()
)

MAKE_CONVERSATION = insert_chosen(
    conversation,
    {
        **{column: param(column) for column in KEY},
        conversation.c.channel: param(conversation.c.channel),
        conversation.c.title: param(conversation.c.title),
        conversation.c.created_at: NOW,
        conversation.c.updated_at: NOW,
    },
    and_(
        ~select(fixed("1")).where(IS_REDELIVERY).exists(),
        param(inbox.c.seq, "most_waiting") > WAITING_BY_NAME,
    ),
).on_conflict_do_update(index_elements=list(KEY), set_={"updated_at": NOW})  # the row is locked
# The conversation's row is locked before the number is given: numbers rise in the order of commits.
KEEP = insert_chosen(
    inbox,
    {
        inbox.c.conversation_id: conversation.c.id,
        inbox.c.turn_id: param(inbox.c.turn_id),
        inbox.c.tenant_id: conversation.c.tenant_id,
        inbox.c.channel: param(inbox.c.channel),
        inbox.c.external_id: param(inbox.c.external_id),
        inbox.c.state: fixed("'queued'"),
        inbox.c.accepted_at: NOW,
        inbox.c.question: param(inbox.c.question),
        inbox.c.body: param(inbox.c.body),
        inbox.c.attachments: param(inbox.c.attachments),
    },
    and_(same(*KEY), param(inbox.c.seq, "most_waiting") > WAITING),
    locking=conversation,
).on_conflict_do_nothing()
FIRST_TURN = select(inbox.c.turn_id, inbox.c.seq).where(
    or_(IS_REDELIVERY, same(inbox.c.tenant_id, inbox.c.turn_id))
)
ONE = RECORD.where(same(inbox.c.turn_id, inbox.c.tenant_id))
DEAD = at_most(
    RECORD.where(inbox.c.state == fixed("'dead'")).order_by(inbox.c.seq.desc()),
    param(inbox.c.seq, "count"),
)
DEAD_OF_TENANT = at_most(
    RECORD.where(inbox.c.state == fixed("'dead'"), same(inbox.c.tenant_id)).order_by(
        inbox.c.seq.desc()
    ),
    param(inbox.c.seq, "count"),
)
# A turn that waits for a person takes nobody's place.
OPEN_BY_TENANT = (
    select(inbox.c.tenant_id, func.count())
    .where(IS_OPEN, inbox.c.state != fixed("'waiting'"))
    .group_by(inbox.c.tenant_id)
)
OF_TENANT = same(inbox.c.turn_id, inbox.c.tenant_id)
# Whoever writes of a turn locks its conversation first: a claim and a stop then come one after the other.
LOCK = (
    select(conversation.c.id)
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(OF_TENANT)
    .with_for_update(of=conversation)
)
STOPPED_QUESTION = insert_chosen(
    journal, QUESTION_ROW, and_(OF_TENANT, IS_OPEN, IS_IDLE)
).on_conflict_do_nothing()
STOPPED_REPLY = insert_chosen(
    outbox, REPLY_ROW, and_(OF_TENANT, IS_OPEN, IS_IDLE)
).on_conflict_do_nothing()
STOPPED = "stopped"
"""The last part of a turn, after any number: no turn is stopped twice."""
STOP_IDLE = (
    update(inbox)
    .where(OF_TENANT, IS_OPEN, IS_IDLE)
    .values(
        state=fixed("'cancelled'"),
        ended_at=NOW,
        stop_asked=fixed("1"),
        error=param(inbox.c.error, "end_error"),
    )
    .returning(inbox.c.seq)
)
STOP_RUNNING = update(inbox).where(OF_TENANT, IS_OPEN).values(stop_asked=fixed("1"))
# Nobody is asked any more.
STOP_ASKING = (
    update(approval)
    .where(same(approval.c.turn_id, approval.c.tenant_id))
    .where(approval.c.state == fixed("'pending'"))
    .where(select(fixed("1")).where(OF_TENANT, ~IS_OPEN).exists())
    .values(state=fixed("'expired'"), decided_at=NOW)
)
REPLAY = (
    update(inbox)
    .where(OF_TENANT, inbox.c.state == fixed("'dead'"))
    .values(
        state=fixed("'queued'"),
        ended_at=fixed("NULL"),
        error=fixed("NULL"),
        attempts=fixed("0"),
        stop_asked=fixed("0"),
        fence=fixed("0"),  # whoever ended it has not ended it any more
    )
    .returning(inbox.c.seq)
)
OPEN_IN_ONE = (
    select(inbox.c.turn_id)
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(same(*KEY), IS_OPEN)
    .order_by(inbox.c.seq)
)
