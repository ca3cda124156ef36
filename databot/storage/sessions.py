"""Conversations, for people who look at them: lists, transcripts, deletion."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter

from sqlalchemy import delete, func, select

from databot.storage.base import ArtifactStore, LoggedMessage, SessionSummary
from databot.storage.codec import from_micros, key_params, to_micros
from databot.storage.database import Database, Row, single
from databot.storage.names import is_key, is_name
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import approval, conversation, inbox, journal, outbox
from databot.storage.transcript import read_back, steps_by_turn
from databot.types.messages import ConversationKey

KEY = (conversation.c.tenant_id, conversation.c.bot_id, conversation.c.session_id)
END_OF_TIME = 2**62

TURNS = (
    select(func.count())
    .where(inbox.c.conversation_id == conversation.c.id)
    .correlate(conversation)
    .scalar_subquery()
)
LIST = at_most(
    select(
        *KEY,
        conversation.c.channel,
        conversation.c.title,
        TURNS,
        conversation.c.created_at,
        conversation.c.updated_at,
    )
    .where(
        same(conversation.c.tenant_id),
        conversation.c.updated_at < param(conversation.c.updated_at, "before"),
    )
    .order_by(conversation.c.updated_at.desc(), conversation.c.id.desc()),
    param(conversation.c.id, "count"),
)
# Not sorted here: asked for the last used, SQLite would go through all conversations of the tenant in that order.
FIND = select(conversation.c.updated_at, conversation.c.id, *KEY).where(
    same(conversation.c.tenant_id, conversation.c.session_id)
)
OWNER = select(conversation.c.id).where(same(*KEY)).scalar_subquery()
TURN_ROWS = (
    select(
        inbox.c.seq,
        inbox.c.turn_id,
        inbox.c.state,
        inbox.c.accepted_at,
        inbox.c.ended_at,
        inbox.c.question,
        inbox.c.body,
        inbox.c.attachments,
        inbox.c.reply,
        inbox.c.error,
    )
    .where(inbox.c.conversation_id == OWNER)
    .order_by(inbox.c.seq)
)
STEP_ROWS = (
    select(journal.c.seq, journal.c.at, journal.c.payload)
    .where(journal.c.conversation_id == OWNER, journal.c.kind == fixed("'messages'"))
    .order_by(journal.c.seq, journal.c.step)
)
# The conversation is named by key and number: what is deleted is then exactly the row that was found and locked. Its
# row is locked first, as `ingest` does, and its turns go before their steps, as `append` takes them: nothing slips in.
NUMBER = select(conversation.c.id).where(same(*KEY))
FOUND = same(conversation.c.id, *KEY)
DOOMED = select(conversation.c.id).where(FOUND).scalar_subquery()
DELETE = (
    select(conversation.c.id).where(FOUND).with_for_update(),
    delete(inbox).where(inbox.c.conversation_id == DOOMED),
    delete(journal).where(journal.c.conversation_id == DOOMED),
    delete(outbox).where(outbox.c.conversation_id == DOOMED),
    delete(approval).where(approval.c.conversation_id == DOOMED),
    delete(conversation).where(FOUND),
)


class SqlSessions:
    """The conversations, in a database."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts
        prepare = database.prepare
        self._list, self._find = prepare(LIST), prepare(FIND)
        self._turns, self._steps = prepare(TURN_ROWS), prepare(STEP_ROWS)
        self._number = prepare(NUMBER)
        self._delete = [prepare(statement) for statement in DELETE]

    async def list(
        self, tenant_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[SessionSummary]:
        if not is_name(tenant_id) or limit <= 0:
            return []
        params = {
            "tenant_id": tenant_id,
            "count": limit,
            "before": to_micros(before) if before else END_OF_TIME,
        }
        return await self._database.read(self._list, params, summaries)

    async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
        if not (is_name(tenant_id) and is_name(session_id)):
            return None
        params = {"tenant_id": tenant_id, "session_id": session_id}
        return await self._database.read(self._find, params, last_used)

    async def messages(self, conversation: ConversationKey) -> Sequence[LoggedMessage]:
        if not is_key(conversation):
            return []
        params = key_params(conversation)
        # The turns last: a step seen is then always a step of a turn seen.
        steps = await self._database.read(self._steps, params, steps_by_turn)
        return await self._database.read(self._turns, params, partial(read_back, steps))

    async def delete(self, conversation: ConversationKey) -> bool:
        if not is_key(conversation):
            return False
        # Files first: if the process dies in between, asking again finishes the work.
        await self._artifacts.delete_all(conversation)
        key = key_params(conversation)
        number = await self._database.read(self._number, key, single)
        if number is None:
            return False
        params = {**key, "id": number[0]}
        locked, *_ = await self._database.write([(query, params) for query in self._delete])
        return bool(locked)


def key_of(row: Row) -> ConversationKey:
    return ConversationKey(tenant_id=row[0], bot_id=row[1], session_id=row[2])


def last_used(rows: Sequence[Row]) -> ConversationKey | None:
    return key_of(max(rows, key=itemgetter(0, 1))[2:]) if rows else None


def summaries(rows: Sequence[Row]) -> Sequence[SessionSummary]:
    return [
        SessionSummary(
            conversation=key_of(row),
            channel=row[3],
            title=row[4],
            turns=row[5],
            created_at=from_micros(row[6]),
            updated_at=from_micros(row[7]),
        )
        for row in rows
    ]
