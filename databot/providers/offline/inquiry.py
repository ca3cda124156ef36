"""Inquiry: from a message to a settled question, looking values up on the way.

Each step is an `Ask`, so that the same code replays earlier messages to know what a follow-up follows.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from databot.providers.offline.abbreviations import Expanded, expanded
from databot.providers.offline.answer import trouble
from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.draft import Draft, Problem, Strange
from databot.providers.offline.elsewhere import searched
from databot.providers.offline.follow import followed, follows
from databot.providers.offline.lexicon import BEYOND
from databot.providers.offline.matching import filters, match, unmatched
from databot.providers.offline.measures import rows_of
from databot.providers.offline.names import corrected
from databot.providers.offline.question import (
    ByColumn,
    Compare,
    Contains,
    During,
    Filter,
    OneOf,
    Question,
)
from databot.providers.offline.rawsql import RawSql, checked, sql_in
from databot.providers.offline.reading import Reading, read
from databot.providers.offline.results import Rows, outcome
from databot.providers.offline.steps import Ask
from databot.providers.offline.talk import beyond, unknown_words
from databot.providers.offline.understand import draft
from databot.providers.offline.values import Value, candidates, few_values, lookup, values_of
from databot.providers.offline.words import singular

Settled = Question | RawSql
Inquiry = Generator[Ask, str, Settled | Problem]
SHOWN_VALUES = 8
_YEAR = re.compile(r"\b(?:19|20)\d{2}\b")
_OPPOSITE = re.compile(r"\b(?:in|un|non-?)(\w{4,})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found for the strange words."""

    filters: tuple[OneOf | Contains, ...] = ()
    left: tuple[Strange, ...] = ()
    seen: tuple[str, ...] = ()
    trouble: str = ""


def inquire(text: str, database: Database, before: Settled | None) -> Inquiry:
    """The question a message asks; `before` is the one asked last."""
    sql = sql_in(text)
    if sql is not None:
        statement = checked(sql, database.dialect)
        if isinstance(statement, Problem):
            return statement
        return RawSql(sql=statement, connector=database.connector)
    context = before if isinstance(before, Question) else None
    problem: Problem | None = None
    tried: list[Reading] = []
    for reading in _readings(text, database):
        if reading in tried:
            continue
        tried.append(reading)
        settled = yield from _settled(draft(reading, database, context), text, database, context)
        if not isinstance(settled, Problem) or settled.trouble:
            return settled
        problem = _clearer(problem, settled)
    settled = yield from _abbreviated(text, problem, database, context)
    if not isinstance(settled, Problem) or settled.trouble:
        return settled
    # With every word read, the reason is a better one than that words were unknown.
    problem = _clearer(problem, settled) if settled.unknown else settled
    return (yield from searched(problem, database))


def _abbreviated(
    text: str, problem: Problem | None, database: Database, before: Question | None
) -> Inquiry:
    """The message with the words that nothing is known of as names cut short: first of tables, then of columns."""
    said = Expanded(text=corrected(text, database, columns=False))
    latest = problem or Problem(reason="I do not see a question in that")
    for tables in (True, False):
        strange = [item.text for item in read(said.text, database).strange]
        longer = expanded(said, database, latest.unknown or strange, tables=tables)
        if longer == said:
            continue
        said, found = longer, list[Problem]()
        for reading in _as_written(said, database):
            settled = yield from _settled(draft(reading, database, before), text, database, before)
            if not isinstance(settled, Problem) or settled.trouble:
                return settled
            found.append(settled)
        latest = found[0]
    return latest


def _as_written(said: Expanded, database: Database) -> Iterator[Reading]:
    for strict in (False, True):
        yield replace(read(said.text, database, strict=strict), note=said.note)
    yield replace(read(said.text, database), note=said.note, states=True)


def _clearer(first: Problem | None, second: Problem) -> Problem:
    """The first problem, unless a later reading leaves fewer words unknown."""
    fewer = first is not None and second.unknown and set(second.unknown) < set(first.unknown)
    return second if first is None or fewer else first


def _readings(text: str, database: Database) -> Iterator[Reading]:
    """A message read ever more freely: names in part too, then only whole names, then with column
    names put right, at last "inactive" as "not active".
    """
    near = corrected(text, database, columns=False)
    yield read(near, database)
    yield read(near, database, strict=True)
    if near != text:
        yield read(text, database)
    yield read(corrected(text, database, columns=True), database)
    yield replace(read(near, database), states=True)
    yield read(_OPPOSITE.sub(r"not \1", near), database)


def _settled(
    made: Draft | Problem, text: str, database: Database, before: Question | None
) -> Inquiry:
    if isinstance(made, Problem):
        return made
    refused = _refused(made, before)
    if refused:
        return refused
    found = _Found()
    if made.strange:
        found = yield from _values(made, database, before)
        if found.trouble:
            return Problem(reason=found.trouble, trouble=True)
        if found.left:
            words = [one.text for one in found.left]
            return unknown_words(words, found.seen)
        twice = _said_twice(made, found)
        if twice:
            return Problem(reason=twice)
    return _finished(
        replace(made, filters=(*made.filters, *found.filters), strange=()), text, database, before
    )


def _said_twice(made: Draft, found: _Found) -> str:
    """A year that is a part of a value as well: "sales of 2026 Shop"."""
    years = {
        year
        for f in made.filters
        if isinstance(f, During)
        for year in _YEAR.findall(f.period.label)
    }
    values = [value for f in found.filters if isinstance(f, OneOf) for value in f.values]
    value = next((value for value in values if years & set(_YEAR.findall(value))), "")
    return (
        f"I cannot tell the year from the name “{value}”; put the name in quotes" if value else ""
    )


def _finished(
    made: Draft, text: str, database: Database, before: Question | None
) -> Question | Problem:
    """The draft as a question of its own, or as a change of the one before."""
    if made.reading.has("or"):
        kept = [one for one in made.filters if not isinstance(one, During)]
        if len(kept) > 1:
            return Problem(reason="I can only choose with “or” between values of one column")
        if not any(_chooses(one) for one in kept):
            return Problem(reason="I do not see what “or” is to choose between")
    if made.reading.has("versus"):
        made = _side_by_side(made, database)
    if before is not None and follows(made, text):
        changed = followed(made, before, database)
        return changed if isinstance(changed, Problem) else changed.question()
    if not made.subject or made.shape is None:
        return Problem(reason="I do not see which table that is about")
    return made.question()


def _side_by_side(made: Draft, database: Database) -> Draft:
    """In "web vs app orders" each of the values is a group."""
    chosen = next((f for f in made.filters if isinstance(f, OneOf) and len(f.values) > 1), None)
    if chosen is None or made.groups or not made.subject or made.share:
        return made
    groups = (ByColumn(column=chosen.column),)
    if made.measure:
        return replace(made, groups=groups)
    counted = rows_of(database.by_name[made.subject])
    return replace(made, groups=groups, measure=counted, shape="count", order=None, columns=())


def _chooses(one: Filter) -> bool:
    """Whether the filter has alternatives."""
    match one:
        case OneOf():
            return len(one.values) > 1
        case Contains():
            return len(one.phrases) > 1
        case Compare():
            return bool(one.also)
        case _:
            return False


def _refused(made: Draft, before: Question | None) -> Problem | None:
    """Messages that no look at the data would help."""
    reading: Reading = made.reading
    far = next((BEYOND[w] for one in made.strange if (w := singular(one.text)) in BEYOND), None)
    if far:
        return beyond(far)
    if not made.subject and before is None:
        words = [one.text for one in made.strange]
        if words:
            return unknown_words(words, ())
        return Problem(reason="I do not see which table that is about")
    effective = (
        made.subject or made.strange or made.filters or made.groups or made.grain or made.function
    )
    if not effective and made.output == "text" and not made.order and not reading.nouns:
        return Problem(reason="I do not see a question in that")
    return None


def _values(
    made: Draft, database: Database, before: Question | None
) -> Generator[Ask, str, _Found]:
    """Two looks at the data for the words that name nothing."""
    tables = list(dict.fromkeys(name for name in _tables(made, before) if name))
    hints = [hint for one in made.strange for hint in one.hints]
    columns = candidates(database, tables, hints)
    if not columns:
        return _Found(left=made.strange)
    lemmas = made.reading.lemmas
    values = yield from _looked_up(lookup(database, columns, made.strange), columns, database)
    if isinstance(values, str):
        return _Found(trouble=values)
    matches = match(made.strange, lemmas, values)
    left = unmatched(made.strange, matches)
    if not left:
        return _Found(filters=filters(matches, made.strange))
    more = yield from _looked_up(few_values(database, columns), columns, database)
    if isinstance(more, str):
        return _Found(trouble=more)
    matches = (*matches, *match(left, lemmas, more))
    return _Found(
        filters=filters(matches, made.strange),
        left=unmatched(made.strange, matches),
        seen=_choices(more),
    )


def _choices(values: Sequence[Value]) -> tuple[str, ...]:
    """The values of the most telling column, to show what there is."""
    if not values:
        return ()
    first = values[0].column
    return tuple(value.value for value in values if value.column == first)[:SHOWN_VALUES]


def _looked_up(
    sql: str, columns: Sequence[ColumnRef], database: Database
) -> Generator[Ask, str, tuple[Value, ...] | str]:
    """The values a lookup found, or why it could not be made."""
    arguments = {"sql": sql, "connector": database.connector, "purpose": "lookup"}
    content = yield Ask(tool="sql", arguments=arguments, settled=True)
    result = outcome(content)
    return values_of(result.rows, columns) if isinstance(result, Rows) else trouble(result)


def _tables(made: Draft, before: Question | None) -> tuple[str, ...]:
    measure = made.measure.table if made.measure else ""
    return (made.subject, measure) if made.subject else tables_of(before)


def tables_of(before: Settled | None) -> tuple[str, ...]:
    """The tables that a question was about."""
    if not isinstance(before, Question):
        return ()
    return before.table, before.measure.table if before.measure else ""
