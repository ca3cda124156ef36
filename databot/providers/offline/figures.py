"""Figures: a measure, and what is shown for a group, as SQL expressions over the tables of one SELECT."""

from collections.abc import Sequence

from sqlglot import exp

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.dialects import bucket
from databot.providers.offline.question import ByEntity, ByTime, Group, Measure
from databot.providers.offline.scope import Scope


def group_expression(group: Group, scope: Scope) -> exp.Expr:
    """What is shown for a group."""
    if isinstance(group, ByTime):
        return bucket(scope.time(group.column), group.grain, scope.database.dialect)
    if isinstance(group, ByEntity):
        labels = [scope.column(ref) for ref in entity_labels(group.table, scope.database)]
        return labels[0] if len(labels) == 1 else _joined(labels)
    return scope.column(group.column)


def _joined(labels: Sequence[exp.Expr]) -> exp.Expr:
    first, second = labels
    return exp.Concat(expressions=[first, exp.Literal.string(" "), second], safe=True)


def entity_labels(table: str, database: Database) -> tuple[ColumnRef, ...]:
    """The columns a row of the table is shown by."""
    found = database.by_name[table]
    shown = found.labels or ((found.key,) if found.key else ()) or found.columns[:1]
    return tuple(ColumnRef(table=table, column=column.name) for column in shown)


def measured(measure: Measure, scope: Scope, *, distinct: bool = False) -> exp.Expr:
    """The number; `distinct` where a join repeats the rows that are counted."""
    if measure.function == "count":
        return _counted(measure, scope, distinct=distinct)
    value: exp.Expr = scope.number(measure.columns[0])
    for ref in measure.columns[1:]:
        value = exp.Mul(this=value, expression=scope.number(ref))
    if measure.per:
        return _per(exp.Sum(this=value), measure.per, scope)
    functions = {"sum": exp.Sum, "avg": exp.Avg, "min": exp.Min, "max": exp.Max}
    return functions[measure.function](this=value)


def _per(number: exp.Expr, group: Group, scope: Scope) -> exp.Expr:
    """A number divided by how many different groups there are."""
    key = scope.key(group.table) if isinstance(group, ByEntity) else group_expression(group, scope)
    groups = exp.Count(this=exp.Distinct(expressions=[key]))
    total = exp.Mul(this=exp.Literal.number("1.0"), expression=number)
    return exp.Div(this=total, expression=exp.Nullif(this=groups, expression=exp.Literal.number(0)))


def _counted(measure: Measure, scope: Scope, *, distinct: bool) -> exp.Expr:
    if measure.columns:
        value = scope.column(measure.columns[0])
        return exp.Count(this=exp.Distinct(expressions=[value]) if measure.distinct else value)
    rows = exp.Count(this=exp.Star())
    if distinct:
        rows = exp.Count(this=exp.Distinct(expressions=[scope.key(measure.table)]))
    return _per(rows, measure.per, scope) if measure.per else rows
