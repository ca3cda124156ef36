"""Accepted messages and what became of them, in the tables `conversation` and `inbox`."""

from collections.abc import Mapping, Sequence
from operator import attrgetter

from sqlalchemy import or_, select, update

from databot.storage.base import OPEN_STATES, Accepted, Step, TurnRecord, TurnState
from databot.storage.codec import (
    decode_message,
    dumps,
    encode_attachments,
    encode_message,
    encode_question,
    from_micros,
    key_params,
    loads,
    to_micros,
)
from databot.storage.database import Database, Params, Row, single
from databot.storage.journal import LAST_STEP, QUESTION, step_params
from databot.storage.names import clean_label, is_key, is_name, require_key, require_name
from databot.storage.replies import decode_reply, encode_reply
from databot.storage.statements import fixed, insert_chosen, param, same
from databot.storage.tables import conversation, inbox
from databot.types.clock import Clock
from databot.types.errors import StorageError
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage

TITLE_LENGTH = 80
KNOWN_CONVERSATIONS = 8_192
"""How many conversations are remembered as made: some 3 MB at most."""

KEY = (conversation.c.tenant_id, conversation.c.bot_id, conversation.c.session_id)
NOW = param(inbox.c.accepted_at, "now")
IS_REDELIVERY = same(inbox.c.tenant_id, inbox.c.channel, inbox.c.external_id)

MAKE_CONVERSATION = insert_chosen(
    conversation,
    {
        **{column: param(column) for column in KEY},
        conversation.c.channel: param(conversation.c.channel),
        conversation.c.title: param(conversation.c.title),
        conversation.c.created_at: NOW,
        conversation.c.updated_at: NOW,
    },
    ~select(fixed("1")).where(IS_REDELIVERY).exists(),
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
    same(*KEY),
    locking=conversation,
).on_conflict_do_nothing()
FIRST_TURN = select(inbox.c.turn_id, inbox.c.seq).where(
    or_(IS_REDELIVERY, same(inbox.c.tenant_id, inbox.c.turn_id))
)
BEGIN = (
    update(inbox)
    .where(same(inbox.c.turn_id), inbox.c.ended_at.is_(None))
    .values(state=fixed("'running'"), attempts=inbox.c.attempts + fixed("1"))
)
# Here and not in `ingest`: what a caller waits for writes one row.
USE = (
    update(conversation)
    .where(
        same(inbox.c.turn_id),
        inbox.c.ended_at.is_(None),
        conversation.c.id == inbox.c.conversation_id,
    )
    .values(updated_at=NOW)
)
END = (
    update(inbox)
    .where(same(inbox.c.turn_id), inbox.c.ended_at.is_(None))
    .values(
        state=param(inbox.c.state, "end_state"),
        ended_at=NOW,
        reply=param(inbox.c.reply, "end_reply"),
        error=param(inbox.c.error, "end_error"),
    )
)
RECORD = select(
    inbox.c.turn_id,
    *KEY,
    inbox.c.seq,
    inbox.c.state,
    inbox.c.accepted_at,
    inbox.c.question,
    inbox.c.body,
    inbox.c.attachments,
    inbox.c.reply,
    inbox.c.error,
).join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
ONE = RECORD.where(same(inbox.c.turn_id, inbox.c.tenant_id))
# Not sorted here: asked for the order of `seq`, SQLite would read all turns in that order instead of the open ones.
UNFINISHED = RECORD.where(inbox.c.ended_at.is_(None))
OPEN_IN_ONE = (
    select(inbox.c.turn_id)
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(same(*KEY), inbox.c.ended_at.is_(None))
    .order_by(inbox.c.seq)
)


class SqlInbox:
    """The inbox, in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._running: set[str] = set()
        prepare = database.prepare
        self._known: set[tuple[str, str, str]] = set()
        self._make = prepare(MAKE_CONVERSATION)
        self._keep = database.prepare_insert(KEEP, inbox.c.seq)
        self._first_turn = prepare(FIRST_TURN)
        self._begin, self._use = prepare(BEGIN), prepare(USE)
        self._question, self._last_step = prepare(QUESTION), prepare(LAST_STEP)
        self._end = prepare(END)
        self._one, self._unfinished = prepare(ONE), prepare(UNFINISHED)
        self._open_in_one = prepare(OPEN_IN_ONE)

    async def ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
        key = (message.tenant_id, message.bot_id, message.session_id)
        params = self._turn_params(turn_id, message)
        kept: Sequence[Row] = ()
        if key in self._known:
            # Almost every message continues a conversation: one row, one statement. That this process has seen the
            # conversation is a hint; when it was deleted meanwhile, nothing is written here and it is made anew below.
            (kept,) = await self._database.write(((self._keep, params),))
        if not kept:
            kept = await self._keep_in_made(message, params)
            self._remember(key)
        if kept:
            return Accepted(turn_id=turn_id, seq=kept[0][0], duplicate=False)
        return await self._first(params)

    async def _keep_in_made(self, message: InboundMessage, params: Params) -> Sequence[Row]:
        """Keep the message and make its conversation, if there is none."""
        require_key(message.conversation)
        params = {**params, "title": clean_label(message.content, TITLE_LENGTH)}
        _, kept = await self._database.write(((self._make, params), (self._keep, params)))
        return kept

    async def _first(self, params: Params) -> Accepted:
        """The turn that a message had become before."""
        first = await self._database.read(self._first_turn, params, single)
        if first is None:
            raise StorageError(
                "a message was neither kept nor known; it may have been deleted meanwhile"
            )
        return Accepted(turn_id=first[0], seq=first[1], duplicate=True)

    def _remember(self, key: tuple[str, str, str]) -> None:
        if len(self._known) >= KNOWN_CONVERSATIONS:
            self._known.clear()
        self._known.add(key)

    def _turn_params(self, turn_id: str, message: InboundMessage) -> Params:
        require_name("turn id", turn_id)
        require_name("channel", message.channel)
        require_name("message id", message.message_id or "")
        return {
            "turn_id": turn_id,
            "tenant_id": message.tenant_id,
            "bot_id": message.bot_id,
            "session_id": message.session_id,
            "channel": message.channel,
            "external_id": message.message_id or None,
            "now": to_micros(self._clock.now()),
            "question": encode_question(message.content),
            "body": encode_message(message),
            "attachments": encode_attachments(message.attachments),
        }

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        if not (is_name(tenant_id) and is_name(turn_id)):
            return None
        records = await self._database.read(
            self._one, {"tenant_id": tenant_id, "turn_id": turn_id}, self._records
        )
        return records[0] if records else None

    async def unfinished(self) -> Sequence[TurnRecord]:
        records = await self._database.read(self._unfinished, {}, self._records)
        return sorted(records, key=attrgetter("seq"))

    async def open_turns(self, conversation: ConversationKey) -> Sequence[str]:
        if not is_key(conversation):
            return ()
        return await self._database.read(
            self._open_in_one, key_params(conversation), lambda rows: [row[0] for row in rows]
        )

    async def begin(self, turn_id: str) -> None:
        # A crash before this is committed leaves a queued turn, which is resumed just as a running one is: so it
        # rides with the next commit. Until then `_running` says what the table does not say yet.
        self._running.add(turn_id)
        params = {"turn_id": turn_id, "now": to_micros(self._clock.now())}
        # The conversation first: a deletion locks them in this order too.
        unit = ((self._use, params), (self._begin, params))
        await self._database.write(unit, durable=False)

    async def settle(
        self,
        turn_id: str,
        state: TurnState,
        *,
        steps: Sequence[Step] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
    ) -> None:
        if state in OPEN_STATES:
            raise ValueError(f"{state!r} does not end a turn")
        now = to_micros(self._clock.now())
        end = {
            "turn_id": turn_id,
            "end_state": state,
            "now": now,
            "end_reply": encode_reply(reply) if reply else None,
            "end_error": dumps(dict(error)) if error else None,
        }
        journaled = [(self._last_step, step_params(step, now)) for step in steps]
        await self._database.write([(self._question, end), *journaled, (self._end, end)])
        self._running.discard(turn_id)

    def _records(self, rows: Sequence[Row]) -> list[TurnRecord]:
        return [self._record(row) for row in rows]

    def _record(self, row: Row) -> TurnRecord:
        turn_id, tenant_id, bot_id, session_id, seq, state, at, *said, reply, error = row
        begun = state == "queued" and turn_id in self._running
        return TurnRecord(
            turn_id=turn_id,
            conversation=ConversationKey(tenant_id=tenant_id, bot_id=bot_id, session_id=session_id),
            seq=seq,
            message=decode_message(*said),
            state="running" if begun else state,
            accepted_at=from_micros(at),
            reply=decode_reply(reply) if reply else None,
            error=loads(error) if error else None,
        )
