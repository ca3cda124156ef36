"""What was said and done in a conversation, in the table `journal`: append-only, read back in order."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import and_, select

from databot.storage.base import Step
from databot.storage.codec import (
    chat_message,
    decode_chat,
    encode_chat,
    key_params,
    loads,
    to_micros,
)
from databot.storage.database import Database, Params, Row
from databot.storage.names import is_key, is_name
from databot.storage.repair import answered
from databot.storage.statements import at_most, fixed, insert_chosen, param, same
from databot.storage.tables import conversation, inbox, journal
from databot.types.chat import ChatMessage
from databot.types.clock import Clock
from databot.types.errors import NotFound
from databot.types.messages import ConversationKey

KEY = (conversation.c.tenant_id, conversation.c.bot_id, conversation.c.session_id)
KEPT_ROWS, KEPT_CHARACTERS = 8_192, 2_000
"""How many decoded rows are remembered, and how long one may be: 30 MB at the very most, 10 as a rule."""
MESSAGES = fixed("'messages'")

STEP = {
    journal.c.conversation_id: inbox.c.conversation_id,
    journal.c.seq: inbox.c.seq,
    journal.c.step: param(journal.c.step),
    journal.c.kind: MESSAGES,
    journal.c.at: param(journal.c.at, "now"),
    journal.c.payload: param(journal.c.payload),
}
# The turn's row is locked while a step is added: a conversation that is being deleted gets no rows behind its back.
APPEND = (
    insert_chosen(
        journal,
        STEP,
        and_(
            same(inbox.c.turn_id, *KEY),
            inbox.c.conversation_id == conversation.c.id,
        ),
        locking=inbox,
        shared=True,
    )
    .on_conflict_do_nothing()
    .returning(journal.c.seq)
)
LAST_STEP = insert_chosen(
    journal, STEP, and_(same(inbox.c.turn_id), inbox.c.ended_at.is_(None)), locking=inbox
).on_conflict_do_nothing()
IS_OF_CONVERSATION = (
    select(fixed("1"))
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(same(inbox.c.turn_id, *KEY))
)
STEPS = (
    select(journal.c.step, journal.c.payload)
    .join_from(
        inbox,
        journal,
        and_(
            inbox.c.conversation_id == journal.c.conversation_id,
            inbox.c.seq == journal.c.seq,
        ),
    )
    .where(same(inbox.c.turn_id), journal.c.kind == MESSAGES)
    .order_by(journal.c.step)
)
OWNER = select(conversation.c.id).where(same(*KEY)).scalar_subquery()
ENDED = at_most(
    select(inbox.c.conversation_id, inbox.c.seq, inbox.c.body)
    .where(inbox.c.conversation_id == OWNER, inbox.c.ended_at.is_not(None))
    .order_by(inbox.c.seq.desc()),
    param(inbox.c.seq, "turns"),
).cte("ended")
ANSWERS = and_(
    journal.c.conversation_id == ENDED.c.conversation_id,
    journal.c.seq == ENDED.c.seq,
    journal.c.kind == MESSAGES,
)
# One row a step, the person's message as step -1, so that a long message is not repeated beside each step.
HISTORY = (
    select(ENDED.c.seq, fixed("-1").label("step"), ENDED.c.body.label("payload"))
    .union_all(
        select(journal.c.seq, journal.c.step, journal.c.payload).join_from(ENDED, journal, ANSWERS)
    )
    .order_by("seq", "step")
)


def step_params(step: Step, now: int) -> Params:
    return {
        "turn_id": step.turn_id,
        "step": step.step,
        "now": now,
        "payload": encode_chat(step.messages),
    }


class SqlJournal:
    """The journal, in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        prepare = database.prepare
        self._append, self._is_known = prepare(APPEND), prepare(IS_OF_CONVERSATION)
        self._history, self._steps = prepare(HISTORY), prepare(STEPS)

    async def append(self, conversation: ConversationKey, step: Step) -> None:
        if not (is_key(conversation) and is_name(step.turn_id)):
            raise NotFound("turn", step.turn_id)
        params = {
            **step_params(step, to_micros(self._clock.now())),
            **key_params(conversation),
        }
        (added,) = await self._database.write(((self._append, params),))
        if not added and not await self._database.read(self._is_known, params, len):
            raise NotFound("turn", step.turn_id)

    async def history(self, conversation: ConversationKey, turns: int) -> Sequence[ChatMessage]:
        if turns <= 0 or not is_key(conversation):
            return []
        params = {**key_params(conversation), "turns": turns}
        return await self._database.read(self._history, params, decode_history)

    async def steps(self, turn_id: str) -> Sequence[Step]:
        if not is_name(turn_id):
            return []

        def decode(rows: Sequence[Row]) -> list[Step]:
            return [
                Step(turn_id=turn_id, step=step, messages=tuple(decode_chat(payload)))
                for step, payload in rows
            ]

        return await self._database.read(self._steps, {"turn_id": turn_id}, decode)


def decode_history(rows: Sequence[Row]) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    for _, step, payload in rows:
        decode = decode_row if len(payload) > KEPT_CHARACTERS else decode_known
        messages.extend(decode(payload, step < 0))
    return answered(messages)


def decode_row(payload: str, is_question: bool) -> tuple[ChatMessage, ...]:
    """The messages of one row: the person's, or those of a step."""
    data = loads(payload)
    if is_question:
        return (ChatMessage(role="user", content=data["content"]),)
    return tuple([chat_message(item) for item in data])


# A conversation that goes on reads the same rows every turn, and a row never changes: what a text decodes to is
# remembered by the text itself, so that nothing can be stale. Long rows are rare and would fill the memory.
decode_known = lru_cache(maxsize=KEPT_ROWS)(decode_row)
