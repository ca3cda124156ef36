"""What was said and done in a conversation, in the table `journal`: append-only, read back in order."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, func, select

from databot.storage.base import Step
from databot.storage.codec import (
    decode_chat,
    encode_chat,
    key_params,
    to_micros,
)
from databot.storage.database import Database, Params, Row
from databot.storage.names import is_key, is_name
from databot.storage.repair import answered
from databot.storage.statements import fixed, insert_chosen, param, same
from databot.storage.support import decode_support, encode_support
from databot.storage.tables import conversation, inbox, journal
from databot.types.chat import ChatMessage
from databot.types.clock import Clock
from databot.types.errors import NotFound
from databot.types.messages import ConversationKey
from databot.types.support import NO_SUPPORT

KEY = (conversation.c.tenant_id, conversation.c.bot_id, conversation.c.session_id)
KEPT_ROWS, KEPT_CHARACTERS = 8_192, 2_000
"""How many decoded rows are remembered, and how long one may be: 30 MB at the very most, 10 as a rule."""
ASKED, MESSAGES, SUPPORT = fixed("'question'"), fixed("'messages'"), fixed("'support'")

STEP = {
    journal.c.conversation_id: inbox.c.conversation_id,
    journal.c.seq: inbox.c.seq,
    journal.c.step: param(journal.c.step),
    journal.c.kind: MESSAGES,
    journal.c.at: param(journal.c.at, "now"),
    journal.c.payload: param(journal.c.payload),
}
# What a step left behind is a row of its own: only a worker that goes on with the turn reads it.
STEP_SUPPORT = {
    **STEP,
    journal.c.kind: SUPPORT,
    journal.c.payload: param(journal.c.payload, "support"),
}
IS_ITS_TURN = and_(
    same(inbox.c.turn_id, *KEY),
    inbox.c.conversation_id == conversation.c.id,
)
# The turn's row is locked while a step is added: a conversation that is being deleted gets no rows behind its back.
APPEND, APPEND_SUPPORT = (
    insert_chosen(journal, row, IS_ITS_TURN, locking=inbox, shared=True)
    .on_conflict_do_nothing()
    .returning(journal.c.seq)
    for row in (STEP, STEP_SUPPORT)
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
    select(journal.c.step, journal.c.kind, journal.c.payload)
    .join_from(
        inbox,
        journal,
        and_(
            inbox.c.conversation_id == journal.c.conversation_id,
            inbox.c.seq == journal.c.seq,
        ),
    )
    .where(same(inbox.c.turn_id), journal.c.kind.in_([MESSAGES, SUPPORT]))
    .order_by(journal.c.step)
)
# The person's message comes first in its turn. It is written when the turn ends: a turn that has one is in the history.
QUESTION = insert_chosen(
    journal,
    {
        journal.c.conversation_id: inbox.c.conversation_id,
        journal.c.seq: inbox.c.seq,
        journal.c.step: fixed("-1"),
        journal.c.kind: ASKED,
        journal.c.at: inbox.c.accepted_at,
        journal.c.payload: inbox.c.question,
    },
    and_(same(inbox.c.turn_id), inbox.c.ended_at.is_(None)),
    locking=inbox,
).on_conflict_do_nothing()
OWNER = select(conversation.c.id).where(same(*KEY)).scalar_subquery()
OPEN = select(inbox.c.seq).where(inbox.c.conversation_id == OWNER, inbox.c.ended_at.is_(None))
FIRST = journal.alias("first")
FIRST_TURN = (
    select(FIRST.c.seq)
    .where(FIRST.c.conversation_id == OWNER, FIRST.c.kind == ASKED)
    .order_by(FIRST.c.seq.desc())
    .limit(fixed("1"))
    .offset(param(journal.c.seq, "turns_before"))
    .scalar_subquery()
)
PAYLOADS = (
    select(journal.c.payload)
    .where(
        journal.c.conversation_id == OWNER,
        journal.c.seq >= func.coalesce(FIRST_TURN, fixed("0")),
        journal.c.seq.not_in(OPEN),
        journal.c.kind.in_([ASKED, MESSAGES]),
    )
    .order_by(journal.c.seq, journal.c.step)
    .subquery()
)
# One text, a line for each row: a reader thread lets go of the interpreter for every row it fetches, and under load
# that cost more than the reading. JSON text holds no line break of its own.
LINE_END: Any = fixed("'\n'")  # a string would become a value of the statement
HISTORY = select(func.aggregate_strings(PAYLOADS.c.payload, LINE_END))


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
        self._append_support = prepare(APPEND_SUPPORT)
        self._history, self._steps = prepare(HISTORY), prepare(STEPS)

    async def append(self, conversation: ConversationKey, step: Step) -> None:
        if not (is_key(conversation) and is_name(step.turn_id)):
            raise NotFound("turn", step.turn_id)
        params = {
            **step_params(step, to_micros(self._clock.now())),
            **key_params(conversation),
        }
        unit = [(self._append, params)]
        if step.support != NO_SUPPORT:
            support = {**params, "support": encode_support(step.support)}
            unit.append((self._append_support, support))
        added = (await self._database.write(unit))[0]
        if not added and not await self._database.read(self._is_known, params, len):
            raise NotFound("turn", step.turn_id)

    async def history(self, conversation: ConversationKey, turns: int) -> Sequence[ChatMessage]:
        if turns <= 0 or not is_key(conversation):
            return []
        params = {**key_params(conversation), "turns_before": turns - 1}
        return await self._database.read(self._history, params, decode_history)

    async def steps(self, turn_id: str) -> Sequence[Step]:
        if not is_name(turn_id):
            return []

        return await self._database.read(
            self._steps, {"turn_id": turn_id}, lambda rows: decode_steps(turn_id, rows)
        )


def decode_steps(turn_id: str, rows: Sequence[Row]) -> list[Step]:
    """The steps of a turn, each of its messages and, where it was kept, what it left behind."""
    support = {step: decode_support(payload) for step, kind, payload in rows if kind == "support"}
    return [
        Step(
            turn_id=turn_id,
            step=step,
            messages=tuple(decode_chat(payload)),
            support=support.get(step, NO_SUPPORT),
        )
        for step, kind, payload in rows
        if kind == "messages"
    ]


def decode_history(rows: Sequence[Row]) -> list[ChatMessage]:
    lines: str | None = rows[0][0]
    messages: list[ChatMessage] = []
    for line in lines.split("\n") if lines else ():
        messages.extend(decode_known(line) if len(line) <= KEPT_CHARACTERS else decode_chat(line))
    return answered(messages)


@lru_cache(maxsize=KEPT_ROWS)
def decode_known(payload: str) -> tuple[ChatMessage, ...]:
    """The messages of one row.

    A conversation that goes on reads the same rows every turn, and a row never changes: what a text decodes to is
    remembered by the text itself, so that nothing can be stale. Long rows are rare and would fill the memory.
    """
    return tuple(decode_chat(payload))
