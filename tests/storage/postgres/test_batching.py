"""Which statements are spelled for a batch, and that what cannot be is left as it is."""

from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.expression import ClauseElement

from databot.storage.database import Query
from databot.storage.inbox_statements import KEEP, MAKE_CONVERSATION, RECORD
from databot.storage.journal import APPEND, APPEND_SUPPORT, LAST_STEP, QUESTION
from databot.storage.postgres.batching import Batchable, compile_batchable
from databot.storage.statements import fixed, insert_chosen, param, same
from databot.storage.tables import conversation, inbox, journal, memory

STEP = {
    journal.c.conversation_id: conversation.c.id,
    journal.c.seq: param(journal.c.seq),
    journal.c.step: param(journal.c.step),
    journal.c.kind: fixed("'messages'"),
    journal.c.at: fixed("0"),
    journal.c.payload: param(journal.c.payload),
}
IS_CHAT = same(conversation.c.session_id)


def spelled(statement: ClauseElement) -> Query:
    return compile_batchable(statement, asyncpg.dialect())


@pytest.mark.parametrize(
    "statement",
    [
        KEEP.returning(inbox.c.seq),
        APPEND,
        APPEND_SUPPORT,
        LAST_STEP,
        QUESTION,
        insert_chosen(journal, STEP, IS_CHAT),
        insert_chosen(journal, STEP, IS_CHAT & same(conversation.c.fence), locking=conversation),
    ],
)
def test_an_insert_of_what_a_select_finds_is_spelled_for_a_batch(statement: ClauseElement) -> None:
    query = spelled(statement)
    assert isinstance(query, Batchable)
    assert sorted(query.many.names) == sorted(query.names)
    assert query.locks == ("FOR " in query.sql)


@pytest.mark.parametrize(
    "statement",
    [
        RECORD,
        update(inbox).where(same(inbox.c.turn_id)).values(state=fixed("'dead'")),
        delete(inbox).where(same(inbox.c.turn_id)),
        insert(memory).values({each.name: param(each) for each in memory.columns}),
        MAKE_CONVERSATION,  # changes a row that is there: two of one batch would be refused
        insert_chosen(journal, STEP, IS_CHAT & select(journal.c.seq).exists()),  # reads its table
        insert_chosen(journal, STEP, IS_CHAT & select(journal.alias("j").c.seq).exists()),
        insert_chosen(inbox, {inbox.c.tenant_id: conversation.c.tenant_id}, IS_CHAT),  # has no key
        insert_chosen(journal, {**STEP, journal.c.at: bindparam("untyped")}, IS_CHAT),
        insert_chosen(  # the parameter stands where no row of a batch is seen
            journal,
            STEP,
            IS_CHAT
            & conversation.c.id.in_(
                select(select(func.max(inbox.c.seq)).where(same(inbox.c.turn_id)).subquery())
            ),
        ),
    ],
)
def test_what_would_mean_something_else_in_a_batch_is_left_alone(statement: ClauseElement) -> None:
    assert type(spelled(statement)) is Query


WAITING = inbox.alias("waiting")
BOUND = WAITING.c.conversation_id == conversation.c.id
ACCEPT: dict[Column[Any], ColumnElement[Any]] = {
    inbox.c.conversation_id: conversation.c.id,
    inbox.c.turn_id: param(inbox.c.turn_id),
}


@pytest.mark.parametrize(
    ("reading", "is_batched"),
    [
        (select(WAITING.c.seq).where(BOUND, WAITING.c.ended_at.is_(None)), True),
        (select(inbox.c.seq).where(inbox.c.conversation_id == conversation.c.id), True),
        (select(WAITING.c.seq).where(WAITING.c.ended_at.is_(None)), False),
        (select(WAITING.c.seq).where(BOUND | WAITING.c.ended_at.is_(None)), False),
        (select(WAITING.c.seq).where(WAITING.c.conversation_id > conversation.c.id), False),
        (select(WAITING.c.seq).where(WAITING.c.seq == conversation.c.id), False),
        (select(WAITING.c.seq).where(WAITING.c.turn_id == conversation.c.session_id), False),
        (select(WAITING.c.seq).join(journal, journal.c.seq == WAITING.c.seq).where(BOUND), False),
    ],
)
def test_a_select_may_read_its_table_where_every_reading_is_bound_to_the_row_it_finds(
    reading: Select[Any], is_batched: bool
) -> None:
    query = spelled(insert_chosen(inbox, ACCEPT, IS_CHAT & reading.exists()))
    assert isinstance(query, Batchable) is is_batched


def test_a_statement_can_be_spelled_again_and_again() -> None:
    first, second = spelled(APPEND), spelled(APPEND)
    assert isinstance(first, Batchable)
    assert first == second
    assert "SKIP LOCKED" not in first.sql
    many = upsert(journal).from_select(
        ["conversation_id"], select(conversation.c.id).where(IS_CHAT)
    )
    assert type(spelled(many)) is Query


def test_each_of_a_batch_gets_its_own_rows_or_is_run_again() -> None:
    query = spelled(APPEND)
    assert isinstance(query, Batchable)
    rows = [
        (1, False, False, True, 7),
        (2, False, False, False, None),
        (3, True, False, False, None),
        (4, True, True, False, None),
    ]
    assert query.results(rows, 5) == [[[7]], [], "later", "alone", "alone"]
    unlocked = spelled(insert_chosen(journal, STEP, IS_CHAT))
    assert isinstance(unlocked, Batchable)
    assert unlocked.results([(2, False, False, True)], 3) == [[], [[]], []]
