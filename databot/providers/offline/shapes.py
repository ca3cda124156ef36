"""Shapes: whether rows, different values, a count or a measure is wanted; and that no noun is left over."""

from collections.abc import Sequence
from dataclasses import replace

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.draft import Draft, Problem
from databot.providers.offline.filters import time_column, times_of, when
from databot.providers.offline.joins import graph
from databot.providers.offline.measures import nearest_column, rows_of
from databot.providers.offline.question import ByColumn, ByTime, Measure, Order
from databot.providers.offline.reading import Item
from databot.providers.offline.roles import Roles
from databot.providers.offline.words import readable

PAGE = 20
"""Rows shown when no number is asked for."""
_ANY = ("text", "time", "number", "bool", "other")


def shaped(
    base: Draft, roles: Roles, database: Database, used: frozenset[int], near: set[str]
) -> Draft | Problem:
    """The draft with its shape, or why a part of the message fits nowhere."""
    left = _left_over(base, roles, database, used)
    wrong = next((item for item in left if not item.columns), None)
    if wrong is not None:
        return Problem(
            reason=f"I do not see how “{wrong.text}” belongs to the rest of the question"
        )
    if not base.subject:
        return _without_subject(base, left, database, near)
    columns = _columns(left, database, near)
    made = _shape(base, roles, columns, left, database)
    if isinstance(made, Draft) and made.output == "chart":
        return _charted(made, database)
    return made


def _left_over(base: Draft, roles: Roles, database: Database, used: frozenset[int]) -> list[Item]:
    hints = [hint for _, _, hint in roles.strange if hint and not hint.names_table]
    hinted = {hint.at for hint in hints if nearest_column(hint, database, (), ("text",))}
    start = base.measure.table if base.measure else base.subject
    reached = set(graph(database).paths(start)) if start else set[str]()
    left: list[Item] = []
    for item in [*roles.free, *roles.without, *roles.negated]:
        fine = item.at in used or item.at in hinted
        context = item.names_table and bool(reached & set(item.tables)) and item in roles.free
        if not fine and not context:
            left.append(item)
    return left


def _columns(left: Sequence[Item], database: Database, near: set[str]) -> tuple[ColumnRef, ...]:
    refs = (_column(item, database, near) for item in left)
    return tuple(dict.fromkeys(ref for ref in refs if ref))


def _column(item: Item, database: Database, near: set[str]) -> ColumnRef | None:
    own = {item.name} if item.name else near
    key = next((target.ref for target in item.columns if target.table in own), None)
    return nearest_column(item, database, own, _ANY) or key


def _without_subject(
    base: Draft, left: Sequence[Item], database: Database, near: set[str]
) -> Draft | Problem:
    columns = _columns(left, database, near)
    return replace(base, columns=columns)


def _shape(
    base: Draft,
    roles: Roles,
    columns: tuple[ColumnRef, ...],
    left: Sequence[Item],
    database: Database,
) -> Draft | Problem:
    subject = database.by_name[base.subject]
    if base.share:
        if not (base.filters or base.strange):
            return Problem(reason="I do not see which part of them you mean")
        return replace(base, shape="count", measure=rows_of(subject, "percent"))
    if base.order and base.order.column and not base.measure:
        return replace(base, shape="rows", groups=(), columns=columns)
    if base.measure:
        if columns:
            what = readable(columns[0].column)
            return Problem(
                reason=f"I do not see what “{what}” has to do with the number you ask for"
            )
        return replace(base, shape="measure")
    if base.function == "count":
        return _counted(base, columns, database)
    if base.groups:
        return replace(base, shape="count", measure=rows_of(subject))
    return _rows(base, roles, columns, left, database)


def _rows(
    base: Draft,
    roles: Roles,
    columns: tuple[ColumnRef, ...],
    left: Sequence[Item],
    database: Database,
) -> Draft | Problem:
    if base.reading.has("latest", "oldest"):
        return _newest(base, roles, database)
    if _is_distinct(base, left, columns, database):
        return replace(base, shape="distinct", columns=columns[:1])
    part = next((item for item in left if not item.whole and not item.name), None)
    if part and not base.reading.has("show", "which"):
        return Problem(reason=f"I do not see what “{part.text}” should do there")
    order = base.order or _page(base)
    return replace(base, shape="rows", columns=_with_names(columns, base, database), order=order)


def _page(base: Draft) -> Order:
    """As many rows as are read at once, where nobody says how many; a file gets all of them."""
    if base.output == "export":
        return Order(descending=False)
    return Order(descending=False, limit=PAGE, page=True)


def _with_names(
    columns: tuple[ColumnRef, ...], base: Draft, database: Database
) -> tuple[ColumnRef, ...]:
    """Numbers alone say little: the rows' names stand before them."""
    numbers = columns and all(database.column(ref).kind == "number" for ref in columns)
    labels = database.by_name[base.subject].labels if numbers else ()
    named = (ColumnRef(table=base.subject, column=label.name) for label in labels)
    return tuple(dict.fromkeys((*named, *columns)))


def _counted(base: Draft, columns: tuple[ColumnRef, ...], database: Database) -> Draft | Problem:
    subject = database.by_name[base.subject]
    named = any(item.names_table for item in base.reading.nouns)
    if not columns:
        return replace(base, shape="count", measure=rows_of(subject))
    first, *others = columns
    vague = bool(others) or _is_vague(base, first) or database.column(first).kind == "time"
    if vague or (named and not base.reading.has("distinct")):
        what = readable(columns[0].column)
        return Problem(reason=f"I do not know what “{what}” should do in that count")
    measure = Measure(
        table=columns[0].table,
        function="count",
        columns=columns[:1],
        distinct=True,
        name=columns[0].column,
    )
    return replace(base, shape="measure", measure=measure)


def _is_vague(base: Draft, ref: ColumnRef) -> bool:
    """Whether the column is named by a word within its name only: "events" are no `EventType`s."""
    named = (t for item in base.reading.nouns for t in item.columns if t.ref == ref)
    return max((target.weight for target in named), default=0.0) < 0.6


def _is_distinct(
    base: Draft, left: Sequence[Item], columns: tuple[ColumnRef, ...], database: Database
) -> bool:
    if len(columns) != 1 or len(left) != 1:
        return False
    if _is_vague(base, columns[0]) and not base.reading.has("distinct"):
        return False
    named = any(item.names_table for item in base.reading.nouns)
    asked = base.reading.has("which", "distinct") or not (named or left[0].name)
    is_name = columns[0].column in {c.name for c in database.by_name[columns[0].table].labels}
    if left[0].name and left[0].plural and not base.reading.has("show"):
        return not is_name
    return base.reading.has("distinct") or (left[0].plural and asked and not (is_name and named))


def _newest(base: Draft, roles: Roles, database: Database) -> Draft | Problem:
    mark = base.reading.marks("latest", "oldest")[0]
    table = database.by_name[base.subject]
    dated = time_column(database, base.subject, roles) if times_of(table) else None
    key = ColumnRef(table=table.name, column=table.key.name) if table.key else None
    column = dated or key
    if column is None:
        return Problem(
            reason=f"{readable(table.short)} have no date or number to tell the latest by"
        )
    limit = int(mark.argument) if mark.argument else _amount(roles)
    order = Order(descending=mark.name == "latest", limit=limit, column=column)
    note = "" if dated else f"the latest by {column.column}: there is no date"
    notes = (*base.notes, note) if note else base.notes
    return replace(base, shape="rows", order=order, columns=(), notes=notes)


def _amount(roles: Roles) -> int:
    target = roles.target
    return 1 if target is not None and not target.plural else 10


def _charted(made: Draft, database: Database) -> Draft | Problem:
    """A chart needs something along its axis: time, where nothing is named."""
    if made.groups:
        return made
    if made.shape == "distinct":
        groups = (ByColumn(column=made.columns[0]),)
        counted = rows_of(database.by_name[made.columns[0].table])
        return replace(made, shape="count", groups=groups, measure=counted, columns=())
    base = made.measure.table if made.measure else made.subject
    column = when(database, base)
    if column and not made.share:
        measure = made.measure or rows_of(database.by_name[made.subject])
        shape = made.shape if made.measure else "count"
        by_month = (ByTime(column=column, grain="month"),)
        return replace(made, groups=by_month, measure=measure, shape=shape, order=None, columns=())
    return Problem(reason="a chart needs something to go along its axis, such as “by country”")
