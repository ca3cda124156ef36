"""From a `Question` to one SELECT, as a sqlglot tree.

Every name is a quoted identifier and every value an escaped literal, so no text of a message is ever SQL. What the
words mean was decided before; this module only knows how to say it to a database.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from databot.providers.offline.catalog import PREFIXES, ColumnRef, Database, Table
from databot.providers.offline.conditions import conditions
from databot.providers.offline.dialects import sqlglot_name
from databot.providers.offline.figures import entity_labels, group_expression, measured
from databot.providers.offline.joins import Graph, Step, graph
from databot.providers.offline.ordering import ordered
from databot.providers.offline.prose import is_english
from databot.providers.offline.question import (
    ByColumn,
    ByEntity,
    ByTime,
    Group,
    Question,
    Related,
    Totalled,
)
from databot.providers.offline.remarks import remarks
from databot.providers.offline.scope import Scope
from databot.providers.offline.words import readable, singular

MAX_COLUMNS = 12
"""Columns of a row that are shown when none are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One SELECT and how to read its result: first the `dimensions`, then the `measures` if there are any.

    `ordered_by` is the kind of the column that orders rows; `labels` are the columns a row is known by; `keys` are shown
    columns whose numbers are no quantities; `remarks` say what choices were made; `cut` that columns were left out.
    """

    sql: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...] = ()
    ordered_by: str = ""
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplannable:
    """No single SELECT answers this without counting something twice; `reason` is told to the person."""

    reason: str


def plan(question: Question, database: Database) -> Plan | Unplannable:
    """The SELECT that answers the question."""
    edges = graph(database)
    needed = sorted(_needed(question))
    counted = question.shape == "count" or (
        question.measure is not None
        and question.measure.function == "count"
        and question.measure.table == question.table
    )
    start = question.measure.table if question.measure else question.table
    base = edges.base_for(start, needed, counted)
    if base is None:
        return Unplannable(reason=_no_way(start, needed, edges, database))
    inner = question.order is not None and bool(question.groups)
    scope = _scope(base, needed if base == start else sorted({*needed, start}), database, edges)
    query = scope.source(inner=inner)
    select, shown = _selected(question, scope, counted_elsewhere=base != start)
    where = conditions(question, scope)
    if question.share:
        select, where = _as_share(select, where)
    if inner:
        where = [*where, *_known_groups(question.groups, scope)]
    for column in select:
        query = query.select(column.expression, append=True)
    if where:
        query = query.where(*where)
    query = _grouped(query, question, scope)
    query = ordered(query, question, scope, shown[: len(question.groups) + 1])
    return Plan(
        sql=query.sql(dialect=sqlglot_name(database.dialect)),
        dimensions=tuple(item.alias for item in select if not item.measure),
        measures=tuple(item.alias for item in select if item.measure),
        labels=tuple(ref.column for ref in entity_labels(question.table, database)),
        keys=_keys(question, select, database),
        ordered_by=_ordered_by(question, database),
        remarks=remarks(question, database, scope.steps),
        cut=_is_cut(question, scope.database.by_name[question.table]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One column of the result."""

    expression: exp.Expr
    alias: str
    measure: bool = False


def _needed(question: Question) -> set[str]:
    """The tables that must be joined, besides the one measured."""
    refs = [*question.columns, *(question.measure.columns if question.measure else ())]
    refs += [ref.column for ref in question.filters if not isinstance(ref, Related | Totalled)]
    refs += [group.column for group in question.groups if not isinstance(group, ByEntity)]
    refs += [question.order.column] if question.order and question.order.column else []
    tables = {ref.table for ref in refs}
    tables |= {group.table for group in question.groups if isinstance(group, ByEntity)}
    tables |= {question.table for one in question.filters if isinstance(one, Related | Totalled)}
    per = question.measure.per if question.measure else None
    if per:
        tables.add(per.table if isinstance(per, ByEntity) else per.column.table)
    return tables


def _scope(base: str, needed: Sequence[str], database: Database, edges: Graph) -> Scope:
    paths = edges.paths(base)
    steps: dict[Step, None] = {}
    for table in needed:
        steps |= dict.fromkeys(paths[table])
    return Scope(base=base, steps=tuple(steps), database=database)


def _selected(
    question: Question, scope: Scope, *, counted_elsewhere: bool
) -> tuple[list[Item], list[str]]:
    items: list[Item] = []
    taken: set[str] = set()

    def add(expression: exp.Expr, name: str, *, measure: bool = False) -> None:
        alias = _unused(name, taken)
        taken.add(alias)
        # With joins a bare name in ORDER BY may be that of several tables; an alias is the column shown.
        same = isinstance(expression, exp.Column) and expression.name == alias and not scope.steps
        aliased = expression if same else exp.alias_(expression, alias, quoted=True)
        items.append(Item(expression=aliased, alias=alias, measure=measure))

    for group in question.groups:
        add(group_expression(group, scope), group_heading(group, scope.database))
    if question.measure:
        for measure in (question.measure, *question.more):
            number = measured(measure, scope, distinct=counted_elsewhere)
            add(number, measure.name, measure=True)
    elif question.shape in {"rows", "distinct"}:
        for ref in question.columns or _all_columns(scope.database.by_name[question.table]):
            counts = scope.database.column(ref).stored in {"seconds", "milliseconds"}
            add(scope.time(ref) if counts else scope.column(ref), ref.column)
    return items, [item.alias for item in items]


def _all_columns(table: Table) -> tuple[ColumnRef, ...]:
    shown = [column for column in table.columns if column.kind != "other"] or table.columns
    return tuple(ColumnRef(table=table.name, column=column.name) for column in shown[:MAX_COLUMNS])


def _is_cut(question: Question, table: Table) -> bool:
    everything = question.shape == "rows" and not question.columns
    return everything and len(_all_columns(table)) < len(table.columns)


def group_name(group: Group) -> str:
    """The heading of a group's column."""
    if isinstance(group, ByTime):
        return group.grain
    if isinstance(group, ByEntity):
        return _entity_name(Table(name=group.table, schemaless=False))
    return group.column.column


def _entity_name(table: Table) -> str:
    """One of the rows: `customer` of `dim_customers`; a name that is no plain English is left as it is."""
    words = readable(table.short).split(" ")
    words = words[1:] if len(words) > 1 and words[0] in PREFIXES else words
    last = singular(words[-1]) if is_english(words[-1]) else words[-1]
    return "_".join([*words[:-1], last])


def group_heading(group: Group, database: Database) -> str:
    """The heading, which says so where a thing without a name is shown by its number."""
    name = group_name(group)
    if isinstance(group, ByEntity) and not database.by_name[group.table].labels:
        return f"{name}_id"
    return name


def _group_keys(group: Group, scope: Scope) -> list[exp.Expr]:
    if not isinstance(group, ByEntity):
        return [group_expression(group, scope)]
    table = scope.database.by_name[group.table]
    refs = [ColumnRef(table=group.table, column=column.name) for column in [table.key] if column]
    refs += [ref for ref in entity_labels(group.table, scope.database) if ref not in refs]
    return [scope.column(ref) for ref in refs]


def _as_share(select: list[Item], where: list[exp.Expr]) -> tuple[list[Item], list[exp.Expr]]:
    """Percent of the rows that the conditions keep; the conditions move from WHERE into the number."""
    hit = exp.Case(
        ifs=[exp.If(this=exp.and_(*where), true=exp.Literal.number("100.0"))],
        default=exp.Literal.number(0),
    )
    alias = "percent"
    number = Item(
        expression=exp.alias_(exp.Avg(this=hit), alias, quoted=True), alias=alias, measure=True
    )
    return [*(item for item in select if not item.measure), number], []


def _known_groups(groups: Sequence[Group], scope: Scope) -> list[exp.Expr]:
    """Rankings leave out the rows that belong to no group."""
    return [
        exp.Not(this=exp.Is(this=scope.column(group.column), expression=exp.Null()))
        for group in groups
        if isinstance(group, ByColumn)
    ]


def _grouped(query: exp.Select, question: Question, scope: Scope) -> exp.Select:
    if question.shape == "distinct":
        return query.distinct()
    for group in question.groups:
        query = query.group_by(*_group_keys(group, scope), append=True)
    return query


def _keys(question: Question, select: Sequence[Item], database: Database) -> tuple[str, ...]:
    """The groups, and of listed rows the keys."""
    if question.groups or question.shape == "distinct":
        return tuple(item.alias for item in select if not item.measure)
    table = database.by_name[question.table]
    return tuple(column.name for column in table.columns if column.is_key)


def _unused(name: str, taken: set[str]) -> str:
    alias, number = name or "value", 2
    while alias in taken:
        alias, number = f"{name}_{number}", number + 1
    return alias


def _ordered_by(question: Question, database: Database) -> str:
    column = question.order.column if question.order else None
    return database.column(column).kind if column else ""


def _no_way(start: str, needed: Sequence[str], edges: Graph, database: Database) -> str:
    reached = edges.paths(start)
    missing = [readable(database.by_name[t].short) for t in needed if t not in reached]
    subject = readable(database.by_name[start].short)
    return (
        f"I find no chain of keys that leads from {subject} to {' and '.join(missing)} "
        "without counting rows more than once"
    )
