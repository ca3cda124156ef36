"""Follow-ups: "and by country?", "only cancelled ones", "top 10 instead" change the question before.

A message is a follow-up when it has no subject of its own, or begins as one ("what about customers?").
"""

import re
from dataclasses import replace

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.draft import Draft, Problem
from databot.providers.offline.filters import times_of, when
from databot.providers.offline.joins import graph
from databot.providers.offline.measures import money, of_column, rows_of
from databot.providers.offline.question import (
    ByColumn,
    ByEntity,
    ByTime,
    During,
    Filter,
    Group,
    Order,
    Question,
    Related,
    Totalled,
)
from databot.providers.offline.shapes import PAGE

_OPENING = re.compile(
    r"^\W*(?:(?:ok|okay|and|but|also|now|then|so)\b\W*)*(?:and|what about|how about|same for|same but|also|now|only|just|but|instead)\b",
    re.IGNORECASE,
)


_ORDERS = ("top", "bottom", "first", "latest", "oldest", "sort")


def opens_as_follow_up(text: str) -> bool:
    """Whether the message begins like one that goes on from the last."""
    return bool(_OPENING.search(text)) or "instead" in text.casefold()


def follows(draft: Draft, text: str) -> bool:
    """Whether the draft is to be read as a change of the question before."""
    if not draft.subject:
        return True
    bare = draft.shape == "rows" and not draft.filters and not draft.strange and not draft.columns
    only_measure = draft.shape == "measure" and not draft.groups and draft.measure is not None
    return opens_as_follow_up(text) and (bare or only_measure)


def followed(draft: Draft, before: Question, database: Database) -> Draft | Problem:
    """The question before, changed by what the draft says."""
    changed = _start(draft, before)
    if draft.subject:
        changed = _other_subject(changed, draft, before, database)
    elif draft.function and draft.function != "count":
        swapped = _other_function(changed, draft, database)
        if isinstance(swapped, Problem):
            return swapped
        changed = swapped
    elif draft.function == "count" and before.shape in {"rows", "distinct"}:
        changed = replace(
            changed, shape="count", measure=rows_of(database.by_name[before.table]), order=None
        )
    groups = _groups(draft, before, database)
    if groups:
        changed = _grouped(changed, groups, database)
    elif draft.grain:
        return Problem(reason=f"I find no date to count by {draft.grain} there")
    changed = replace(
        changed,
        filters=_filters(before.filters if not draft.subject else changed.filters, draft.filters),
    )
    changed = _ranked(changed, draft, before)
    if draft.share and changed.measure:
        changed = replace(changed, share=True, shape="count", groups=())
    return _charted(changed, draft, before, database)


def _start(draft: Draft, before: Question) -> Draft:
    return replace(
        draft,
        subject=before.table,
        shape=before.shape,
        measure=before.measure,
        more=before.more,
        columns=before.columns,
        groups=before.groups,
        filters=before.filters,
        order=before.order,
        share=before.share,
        notes=tuple(dict.fromkeys((*before.notes, *draft.notes))),
    )


def _other_subject(changed: Draft, draft: Draft, before: Question, database: Database) -> Draft:
    """In "and customers?" they are counted, listed or ranked as the things before were."""
    if draft.measure and draft.shape == "measure":
        return replace(
            changed, measure=draft.measure, more=draft.more, shape="measure", notes=draft.notes
        )
    entities = [group for group in before.groups if isinstance(group, ByEntity)]
    if entities and before.shape == "measure":
        groups = tuple(
            ByEntity(table=draft.subject) if group == entities[0] else group
            for group in before.groups
        )
        return replace(changed, groups=groups)
    table = database.by_name[draft.subject]
    kept = tuple(f for f in before.filters if isinstance(f, During))
    times = times_of(table)
    moved = tuple(
        During(column=ColumnRef(table=table.name, column=times[0].name), period=f.period)
        for f in kept
        if times
    )
    measure = rows_of(table) if before.shape == "count" else None
    return replace(
        changed,
        subject=table.name,
        measure=measure,
        more=(),
        shape="count" if measure else "rows",
        groups=(),
        columns=(),
        filters=moved,
        order=None if measure else before.order and replace(before.order, column=None),
        notes=(),
    )


def _other_function(changed: Draft, draft: Draft, database: Database) -> Draft | Problem:
    measure = changed.measure
    first = next(iter(measure.columns), None) if measure and not measure.distinct else None
    if measure is None or first is None or draft.function is None:
        return Problem(reason="there is no number in the question before to take that of")
    if measure.columns[1:]:
        return Problem(reason="say “average order value” for what an order is worth")
    found = (
        money(database, _tables(changed.groups), draft.function, measure.word)
        if measure.word
        else None
    )
    chosen = found or of_column(database, first, draft.function)
    notes = (chosen.note,) if chosen.note else ()
    return replace(changed, measure=chosen.measure, more=(), notes=notes)


def _tables(groups: tuple[Group, ...]) -> set[str]:
    return {
        group.table if isinstance(group, ByEntity) else group.column.table
        for group in groups
        if not isinstance(group, ByTime)
    }


def _groups(draft: Draft, before: Question, database: Database) -> tuple[Group, ...]:
    if draft.groups:
        return draft.groups
    if not draft.grain:
        return ()
    timed = [one.column for one in before.filters if isinstance(one, During)]
    start = before.measure.table if before.measure else before.table
    column = timed[0] if timed else when(database, start)
    return (ByTime(column=column, grain=draft.grain),) if column else ()


def _grouped(changed: Draft, groups: tuple[Group, ...], database: Database) -> Draft:
    """By something else: what was listed is counted, and money is defined anew if its table cannot be split so."""
    measure = changed.measure or rows_of(database.by_name[changed.subject])
    notes = changed.notes
    reached = graph(database).paths(measure.table)
    if measure.word and not _tables(groups) <= reached.keys():
        found = money(database, _tables(groups), measure.function, measure.word)
        if found:
            measure, notes = found.measure, ((found.note,) if found.note else ())
    shape = changed.shape if changed.shape in {"count", "measure"} else "count"
    return replace(
        changed, groups=groups, measure=measure, shape=shape, order=None, columns=(), notes=notes
    )


def _filters(before: tuple[Filter, ...], new: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """The new ones, and those before that are about something else."""
    periods = any(isinstance(one, During) for one in new)
    kept = [
        one
        for one in before
        if not (periods and isinstance(one, During))
        and not any(_same_column(one, other) for other in new)
    ]
    return (*kept, *new)


def _same_column(one: Filter, other: Filter) -> bool:
    if isinstance(one, Related | Totalled) or isinstance(other, Related | Totalled):
        return one == other
    return type(one) is type(other) and one.column == other.column


def _ranked(changed: Draft, draft: Draft, before: Question) -> Draft:
    if draft.order is None or not draft.reading.has(*_ORDERS):
        return changed
    kept = changed.order or before.order
    column = kept.column if kept and changed.shape == "rows" else None
    if draft.reading.has("sort"):
        limit = draft.order.limit if draft.reading.has("first") or kept is None else kept.limit
        column = draft.order.column if changed.shape == "rows" else None
        order = Order(descending=draft.order.descending, limit=limit, column=column)
        return replace(changed, order=order)
    named = draft.reading.has("first") and kept is not None
    descending = kept.descending if named and kept else draft.order.descending
    limit = draft.order.limit or (kept.limit if kept else 0) or PAGE
    return replace(changed, order=Order(descending=descending, limit=limit, column=column))


def _charted(changed: Draft, draft: Draft, before: Question, database: Database) -> Draft | Problem:
    if draft.output == "text":
        return replace(changed, output="text")
    if draft.output == "export":
        unbounded = changed.shape == "rows" and before.order is not None and before.order.page
        return replace(changed, order=None) if unbounded else changed
    if changed.groups:
        return changed
    if changed.shape == "distinct":
        return _grouped(changed, (ByColumn(column=changed.columns[0]),), database)
    series = _groups(replace(draft, groups=(), grain="month"), before, database)
    if not series:
        return Problem(reason="a chart needs something to go along its axis, such as “by country”")
    return _grouped(changed, series, database)
