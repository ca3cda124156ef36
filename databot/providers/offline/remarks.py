"""Remarks: what a person must be told about how a question was read, because the database left a choice.

Which column says when, which text is taken for numbers, which key is guessed: derived from the final question, so that
nothing is said about what it does not use.
"""

from collections.abc import Iterator

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.filters import is_plain_time
from databot.providers.offline.joins import Step
from databot.providers.offline.prose import among
from databot.providers.offline.question import ByTime, Compare, During, Question


def remarks(question: Question, database: Database, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """One sentence without its full stop for each choice."""
    guessed = [
        f"{step.child}.{step.pairs[0][0]} = {step.parent}.{step.pairs[0][1]}"
        for step in steps
        if step.guessed
    ]
    joined = [f"joined by name ({among(guessed)}): no key is declared there"] if guessed else []
    return tuple(
        dict.fromkeys((*_times(question, database), *_stored(question, database), *joined))
    )


def _times(question: Question, database: Database) -> Iterator[str]:
    start = question.measure.table if question.measure else question.table
    for ref in _time_columns(question):
        stored = database.column(ref).stored
        if stored in {"seconds", "milliseconds"}:
            yield f"time is {ref.table}.{ref.column}, which counts {stored} since 1970 (UTC)"
        elif not is_plain_time(ref, start, database):
            yield f"time is {ref.table}.{ref.column}"


def _time_columns(question: Question) -> Iterator[ColumnRef]:
    yield from (one.column for one in question.filters if isinstance(one, During))
    yield from (group.column for group in question.groups if isinstance(group, ByTime))


def _stored(question: Question, database: Database) -> Iterator[str]:
    for ref in _numbers(question):
        column = database.column(ref)
        if column.kind == "number" and column.stored == "text":
            yield f"{ref.table}.{ref.column} is text that holds only numbers; I read it as numbers"


def _numbers(question: Question) -> Iterator[ColumnRef]:
    for measure in (question.measure, *question.more):
        if measure and (measure.function != "count"):
            yield from measure.columns
    yield from (one.column for one in question.filters if isinstance(one, Compare))
    if question.order and question.order.column:
        yield question.order.column
