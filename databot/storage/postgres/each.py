"""One UPDATE for many sets of its parameters: leases are renewed by one statement, however many there are.

The parameters become arrays, the arrays a table (see `batching`). Rows that somebody has locked are passed over, so that
one transaction that stands still holds up none of the others; their updates are run alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import BindParameter, Dialect, Table, Update, select
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.selectable import FromClause

from databot.storage.database import Query, Row, compile_query
from databot.storage.postgres.batching import PLACE, parameter_types, rows_of

E = TypeVar("E", bound=ClauseElement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable(Query):
    """An UPDATE of one row that can be run for many sets of parameters; `many` takes an array for each of its names."""

    many: Query

    def results(self, rows: Sequence[Row], size: int) -> list[list[Row]]:
        """The rows of each set, by its place: none where nothing was found, or somebody has locked it."""
        found: list[list[Row]] = [[] for _ in range(size)]
        for *row, place in rows:
            found[place - 1].append(row)
        return found


def compile_repeatable(statement: Update, dialect: Dialect) -> Repeatable:
    """Spell an UPDATE for one set of parameters and for many."""
    one = compile_query(statement, dialect)
    return Repeatable(sql=one.sql, names=one.names, many=compile_query(many_of(statement), dialect))


def many_of(statement: Update) -> Update:
    """The UPDATE over a table of its parameters, of rows that nobody has locked."""
    table, types = statement.table, parameter_types(statement)
    assert isinstance(table, Table)
    assert types
    assert statement.whereclause is not None
    rows = rows_of(types)
    key = list(table.primary_key)
    found = (
        select(*rows.c, *key)
        .where(over(statement.whereclause, rows))
        .with_for_update(of=table, skip_locked=True)
        .cte("found")
    )
    update = over(statement, found)
    same_row = [column == found.c[column.name] for column in key]
    return update.where(*same_row).returning(found.c[PLACE])


def over(element: E, rows: FromClause) -> E:
    """A copy that takes its parameters from the rows."""

    def swap(element: Any, **kw: Any) -> Any | None:  # noqa: ANN401 - SQLAlchemy's
        del kw
        return rows.c[element.key] if isinstance(element, BindParameter) else None

    return cast("E", visitors.replacement_traverse(element, {}, swap))
