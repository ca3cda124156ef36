"""The WHERE of a question: each filter as a SQL condition, with every value an escaped literal."""

from sqlglot import exp

from databot.providers.offline.catalog import ColumnRef
from databot.providers.offline.dialects import instant, month_of
from databot.providers.offline.figures import measured
from databot.providers.offline.joins import graph
from databot.providers.offline.question import (
    Comparator,
    Compare,
    Contains,
    During,
    Filter,
    Flag,
    Missing,
    OneOf,
    Question,
    Related,
    Totalled,
)
from databot.providers.offline.scope import Scope, table_expression

_OPERATORS: dict[Comparator, type[exp.Binary]] = {
    "=": exp.EQ,
    "!=": exp.NEQ,
    ">": exp.GT,
    ">=": exp.GTE,
    "<": exp.LT,
    "<=": exp.LTE,
}


_OPPOSITES: dict[Comparator, Comparator] = {"<": ">=", "<=": ">", "!=": "="}


def conditions(question: Question, scope: Scope) -> list[exp.Expr]:
    """One condition a filter; all must hold."""
    return [_condition(one, question, scope) for one in question.filters]


def _condition(one: Filter, question: Question, scope: Scope) -> exp.Expr:
    match one:
        case During():
            return _during(one, scope)
        case OneOf():
            return _one_of(one, scope)
        case Contains():
            return _contains(one, scope)
        case Compare():
            return _compare(one, scope)
        case Flag():
            return _flag(one, scope)
        case Missing():
            empty = exp.Is(this=scope.column(one.column), expression=exp.Null())
            return exp.Not(this=empty) if one.negated else empty
        case Related() | Totalled():
            return _below(one, question.table, scope)


def _during(one: During, scope: Scope) -> exp.Expr:
    dialect = scope.database.dialect
    column = scope.time(one.column)
    parts: list[exp.Expr] = []
    if one.period.month:
        month = exp.Literal.number(one.period.month)
        parts.append(exp.EQ(this=month_of(column, dialect), expression=month))
    if one.period.start:
        parts.append(exp.GTE(this=column.copy(), expression=instant(one.period.start, dialect)))
    if one.period.end:
        parts.append(exp.LT(this=column.copy(), expression=instant(one.period.end, dialect)))
    return exp.and_(*parts)


def _one_of(one: OneOf, scope: Scope) -> exp.Expr:
    column = scope.column(one.column)
    values = [exp.Literal.string(value) for value in one.values]
    if len(values) == 1:
        hit: exp.Expr = exp.EQ(this=column, expression=values[0])
    else:
        hit = exp.In(this=column, expressions=values)
    if not one.negated:
        return hit
    empty = exp.Is(this=column.copy(), expression=exp.Null())
    return exp.paren(exp.or_(exp.Not(this=exp.paren(hit)), empty))


def _contains(one: Contains, scope: Scope) -> exp.Expr:
    lowered = exp.Lower(this=exp.cast(scope.column(one.column), "TEXT"))
    phrases = [
        exp.and_(
            *(
                exp.Like(this=lowered.copy(), expression=exp.Literal.string(f"%{word.lower()}%"))
                for word in words
            )
        )
        for words in one.phrases
    ]
    hit = exp.or_(*phrases)
    if not one.negated:
        return hit
    empty = exp.Is(this=scope.column(one.column), expression=exp.Null())
    return exp.paren(exp.or_(exp.Not(this=exp.paren(hit)), empty))


def _compare(one: Compare, scope: Scope) -> exp.Expr:
    column, number = scope.number(one.column), exp.Literal.number(one.value)
    if one.also:
        numbers = [number, *(exp.Literal.number(value) for value in one.also)]
        return exp.In(this=column, expressions=numbers)
    return _OPERATORS[one.operator](this=column, expression=number)


def _flag(one: Flag, scope: Scope) -> exp.Expr:
    column = scope.column(one.column)
    if "bool" in scope.database.column(one.column).type.lower() and scope.database.dialect not in {
        "sqlite",
        "mysql",
        "mariadb",
    }:
        return column if one.value else exp.Not(this=column)
    return exp.EQ(this=column, expression=exp.Literal.number(int(one.value)))


def _below(one: Related | Totalled, subject: str, scope: Scope) -> exp.Expr:
    if isinstance(one, Related):
        return _related(one, subject, scope)
    return _totalled(one, subject, scope)


def _totalled(one: Totalled, subject: str, scope: Scope) -> exp.Expr:
    """IN or, for "fewer than", NOT IN, so that rows with nothing below them count as none."""
    table = one.measure.table
    step = next(s for s in graph(scope.database).steps[table] if s.parent == subject)
    inner = Scope(base=table, steps=(), database=scope.database)
    child = inner.column(ColumnRef(table=table, column=step.pairs[0][0]))
    opposite = _OPPOSITES.get(one.operator)
    number = exp.Literal.number(one.value)
    compared = _OPERATORS[opposite or one.operator](
        this=measured(one.measure, inner), expression=number
    )
    query = (
        exp.Select()
        .select(child)
        .from_(table_expression(scope.database.by_name[table]))
        .where(exp.Not(this=exp.Is(this=child.copy(), expression=exp.Null())))
        .group_by(child.copy())
        .having(compared)
    )
    parent = scope.column(ColumnRef(table=subject, column=step.pairs[0][1]))
    found = exp.In(this=parent, query=exp.Subquery(this=query))
    return exp.Not(this=found) if opposite else found


def _related(one: Related, subject: str, scope: Scope) -> exp.Expr:
    database = scope.database
    step = next(s for s in graph(database).steps[one.table] if s.parent == subject)
    alias = "other" if one.table in scope.tables else database.by_name[one.table].short
    pairs = [
        exp.EQ(
            this=exp.column(child, table=alias, quoted=True),
            expression=exp.column(parent, table=scope.alias(subject), quoted=True),
        )
        for child, parent in step.pairs
    ]
    inner = (
        exp.Select()
        .select(exp.Literal.number(1))
        .from_(table_expression(database.by_name[one.table], alias))
        .where(*pairs)
    )
    found = exp.Exists(this=inner)
    return exp.Not(this=found) if one.negated else found
