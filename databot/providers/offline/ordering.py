"""The ORDER BY and LIMIT of a question: rankings by the measure, series by time, rows by a column and then by their key."""

from collections.abc import Sequence

from sqlglot import exp

from databot.providers.offline.catalog import ColumnRef
from databot.providers.offline.question import ByTime, Order, Question
from databot.providers.offline.scope import Scope

_NULLS_ARE_SMALL = {"sqlite", "mysql", "mariadb"}


def ordered(
    query: exp.Select, question: Question, scope: Scope, shown: Sequence[str]
) -> exp.Select:
    """The query with ORDER BY and LIMIT; `shown` are the headings of its columns, the measure last."""
    order = question.order
    timely = any(isinstance(group, ByTime) for group in question.groups)
    if question.shape == "distinct":
        query = query.order_by(_by_name(shown[0], scope, descending=False))
    elif question.shape == "rows":
        keys = _row_order(question, order, scope)
        query = query.order_by(*keys) if keys else query  # a table may have no key to order by
    elif question.groups:
        measure = _by_name(shown[-1], scope, descending=order.descending if order else True)
        names = [_by_name(name, scope, descending=False) for name in shown[:-1]]
        ranked = names if timely and order is None else [measure, *names]
        query = query.order_by(*ranked)
    # One more than a page, to know whether there are more.
    return query.limit(order.limit + order.page) if order and order.limit else query


def _row_order(question: Question, order: Order | None, scope: Scope) -> list[exp.Expr]:
    key = scope.database.by_name[question.table].key
    tie = [scope.column(ColumnRef(table=question.table, column=key.name))] if key else []
    if order is None or order.column is None:
        return [_ordering(column, scope, descending=False) for column in tie]
    first = _ordering(scope.number(order.column), scope, descending=order.descending)
    is_tie = key is not None and order.column == ColumnRef(table=question.table, column=key.name)
    return (
        [first]
        if is_tie
        else [first, *(_ordering(c, scope, descending=order.descending) for c in tie)]
    )


def _by_name(alias: str, scope: Scope, *, descending: bool) -> exp.Expr:
    return _ordering(exp.column(alias, quoted=True), scope, descending=descending)


def _ordering(what: exp.Expr, scope: Scope, *, descending: bool) -> exp.Expr:
    """Missing values come last in a ranking; going up they stand where the engine puts them, to keep the SQL plain."""
    small = scope.database.dialect in _NULLS_ARE_SMALL
    return exp.Ordered(this=what, desc=descending, nulls_first=small and not descending)
