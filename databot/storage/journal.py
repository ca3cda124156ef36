"""What was said and done in a conversation, in the table `journal`: append-only, read back in order."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from sqlalchemy import and_, func, select

from databot.storage.base import Claim, Step
from databot.storage.codec import (
    decode_chat,
    encode_chat,
    key_params,
    to_micros,
)
from databot.storage.database import Action, Database, Params, Row, single
from databot.storage.names import is_key, is_name
from databot.storage.repair import answered
from databot.storage.statements import fixed, insert_chosen, param, same
from databot.storage.support import decode_note, decode_support, encode_note, encode_support
from databot.storage.tables import conversation, inbox, journal
from databot.types.chat import ChatMessage
from databot.types.clock import Clock
from databot.types.errors import ClaimLost, NotFound
from databot.types.messages import ConversationKey
from databot.types.support import NO_SUPPORT, CallNote

KEY = (conversation.c.tenant_id, conversation.c.bot_id, conversation.c.session_id)
KEPT_ROWS, KEPT_CHARACTERS = 8_192, 2_000
"""How many decoded rows are remembered, and how long one may be: 30 MB at the very most, 10 as a rule."""
ASKED, MESSAGES, SUPPORT = fixed("'question'"), fixed("'messages'"), fixed("'support'")

STEP = {
    journal.c.conversation_id: inbox.c.conversation_id,
    journal.c.seq: inbox.c.seq,
    journal.c.step: param(journal.c.step),
    journal.c.kind: MESSAGES,
    journal.c.fence: param(journal.c.fence),
    journal.c.at: param(journal.c.at, "now"),
    journal.c.payload: param(journal.c.payload),
}
# What a step left behind is a row of its own: only a worker that goes on with the turn reads it.
STEP_SUPPORT = {
    **STEP,
    journal.c.kind: SUPPORT,
    journal.c.payload: param(journal.c.payload, "support"),
}
# What is kept of one call: `kind` tells intents from results, and calls of a step from each other.
NOTE = {
    **STEP,
    journal.c.kind: param(journal.c.kind),
    journal.c.key: param(journal.c.key),
}
# The turn runs and nobody has claimed its conversation since. The row of the conversation is locked meanwhile:
# neither a claim nor a deletion gets in between.
IS_RUNNING = and_(inbox.c.ended_at.is_(None), inbox.c.state == fixed("'running'"))
IS_CLAIMED = and_(
    same(inbox.c.turn_id, conversation.c.fence),
    conversation.c.id == inbox.c.conversation_id,
    IS_RUNNING,
)
APPEND, APPEND_SUPPORT, APPEND_NOTE = (
    insert_chosen(journal, row, IS_CLAIMED, locking=conversation, shared=True)
    .on_conflict_do_nothing()
    .returning(journal.c.seq)
    for row in (STEP, STEP_SUPPORT, NOTE)
)
LAST_STEP = insert_chosen(journal, STEP, IS_CLAIMED).on_conflict_do_nothing()
HELD = (
    select(and_(IS_RUNNING, same(conversation.c.fence)))
    .join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)
    .where(same(inbox.c.turn_id))
)
OF_TURN = and_(inbox.c.conversation_id == journal.c.conversation_id, inbox.c.seq == journal.c.seq)
STEPS = (
    select(journal.c.step, journal.c.kind, journal.c.payload)
    .join_from(inbox, journal, OF_TURN)
    .where(same(inbox.c.turn_id), journal.c.kind.in_([MESSAGES, SUPPORT]))
    .order_by(journal.c.step)
)
NOTES = (
    select(journal.c.step, journal.c.key, journal.c.payload)
    .join_from(inbox, journal, OF_TURN)
    .where(same(inbox.c.turn_id), journal.c.kind.not_in([ASKED, MESSAGES, SUPPORT]))
    .order_by(journal.c.step, journal.c.kind)  # "intent:…" before "result:…"
)
# The person's message comes first in its turn. It is written when the turn ends: a turn that has one is in the history.
QUESTION_ROW = {
    journal.c.conversation_id: inbox.c.conversation_id,
    journal.c.seq: inbox.c.seq,
    journal.c.step: fixed("-1"),
    journal.c.kind: ASKED,
    journal.c.at: inbox.c.accepted_at,
    journal.c.payload: inbox.c.question,
}
QUESTION = insert_chosen(journal, QUESTION_ROW, IS_CLAIMED).on_conflict_do_nothing()
OWNER = select(conversation.c.id).where(same(*KEY)).scalar_subquery()
OPEN = select(inbox.c.seq).where(inbox.c.conversation_id == OWNER, inbox.c.ended_at.is_(None))
FIRST = journal.alias("first")
FIRST_TURN = (
    select(FIRST.c.seq)
    .where(FIRST.c.conversation_id == OWNER, FIRST.c.kind == ASKED, FIRST.c.seq.not_in(OPEN))
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


def step_params(claim: Claim, step: Step, now: int) -> Params:
    return {
        "turn_id": claim.turn_id,
        "fence": claim.fence,
        "step": step.step,
        "now": now,
        "payload": encode_chat(step.messages),
    }


def note_params(claim: Claim, note: CallNote, now: int) -> Params:
    # The call's id is the model's, of any length: its digest stands in the row's key.
    call = sha256(note.call_id.encode(errors="replace")).hexdigest()[:32]
    kind = "intent" if note.result is None else "result"
    return {
        "turn_id": claim.turn_id,
        "fence": claim.fence,
        "step": note.step,
        "now": now,
        "kind": f"{kind}:{call}",
        "key": call,
        "payload": encode_note(note),
    }


class SqlJournal:
    """The journal, in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        prepare = database.prepare
        self._append, self._append_support = prepare(APPEND), prepare(APPEND_SUPPORT)
        self._append_note, self._held = prepare(APPEND_NOTE), prepare(HELD)
        self._history, self._steps = prepare(HISTORY), prepare(STEPS)
        self._notes = prepare(NOTES)

    async def append(self, claim: Claim, step: Step) -> None:
        params = step_params(claim, step, self._now())
        unit = [(self._append, params)]
        if step.support != NO_SUPPORT:
            support = {**params, "support": encode_support(step.support)}
            unit.append((self._append_support, support))
        await self._keep(unit, params)

    async def note(self, claim: Claim, note: CallNote) -> None:
        params = note_params(claim, note, self._now())
        await self._keep([(self._append_note, params)], params)

    async def _keep(self, unit: Sequence[Action], params: Params) -> None:
        added = (await self._database.write(unit))[0]
        if not added:  # it was kept before, or must not be
            require_held(await self._database.read(self._held, params, single), params["turn_id"])

    def _now(self) -> int:
        return to_micros(self._clock.now())

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

    async def notes(self, turn_id: str) -> Sequence[CallNote]:
        if not is_name(turn_id):
            return []
        return await self._database.read(self._notes, {"turn_id": turn_id}, decode_notes)


def require_held(row: Row | None, turn_id: str) -> None:
    """Refuse a write of a claim that was lost. Raises `ClaimLost`, or `NotFound` when the turn was deleted."""
    if row is None:
        raise NotFound("turn", turn_id)
    if not row[0]:
        raise ClaimLost(f"turn {turn_id}")


def decode_notes(rows: Sequence[Row]) -> list[CallNote]:
    return [decode_note(step, payload) for step, _, payload in rows]


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
