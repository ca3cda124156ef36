"""Whether the rows of a batch can see each other: when a SELECT reads the table that is inserted into.

Run one after the other, each statement would see what those before it inserted; in a batch none does. That makes no
difference where every such reading is bound, by an equality, to one row that the SELECT finds beside it, and what is
inserted is bound to it in the same column: only statements that find the same row can see each other then. A batch
takes one of those at a time.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Alias, Column, Select, Table
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ColumnElement
from sqlalchemy.sql.selectable import FromClause, Join


def keepers(
    chosen: Select[tuple[object, ...]], table: Table, names: Sequence[str]
) -> list[Column[object]] | None:
    """The columns found whose values keep the rows of a batch apart: none are needed where the table is not read.

    `None` where a reading is not bound so.
    """
    if any(is_of(part, table) for part in chosen.get_final_froms()) or is_joined(chosen, table):
        return None
    readings = list(readings_of(chosen, table))
    if not readings and any(part is table for part in visitors.iterate(chosen)):
        return None
    inserted = dict(zip(names, chosen.exported_columns, strict=True))
    found: list[Column[object]] = []
    for reading, source in readings:
        keeper = keeper_of(reading, source, inserted)
        if keeper is None:
            return None
        found.append(keeper)
    return found


def readings_of(
    chosen: Select[tuple[object, ...]], table: Table
) -> Iterator[tuple[Select[tuple[object, ...]], FromClause]]:
    """The SELECTs inside this one that read the table, and the name they read it by."""
    for part in visitors.iterate(chosen):
        if isinstance(part, Select) and part is not chosen:
            for source in part.get_final_froms():
                if is_of(source, table):
                    yield part, source


def is_joined(chosen: Select[tuple[object, ...]], table: Table) -> bool:
    """Whether the table is read in a JOIN, where this does not look closer."""
    joins = [part for part in visitors.iterate(chosen) if isinstance(part, Join)]
    return any(is_of(part, table) for join in joins for part in visitors.iterate(join))


def is_of(part: object, table: Table) -> bool:
    """Whether this is the table, or another name of it."""
    return part is table or (isinstance(part, Alias) and part.element is table)


def keeper_of(
    reading: Select[tuple[object, ...]],
    source: FromClause,
    inserted: dict[str, ColumnElement[object]],
) -> Column[object] | None:
    """The column that the reading is bound to, as what is inserted is."""
    for left, right in equalities(reading.whereclause):
        for own, other in ((left, right), (right, left)):
            if isinstance(own, Column) and own.table is source and inserted.get(own.name) is other:
                return other if isinstance(other, Column) and other.primary_key else None
    return None


def equalities(
    where: ColumnElement[bool] | None,
) -> Iterator[tuple[ColumnElement[object], ColumnElement[object]]]:
    """What must be equal for the condition to hold."""
    if isinstance(where, BooleanClauseList) and where.operator is operators.and_:
        for clause in where.clauses:
            yield from equalities(clause)
    elif isinstance(where, BinaryExpression) and where.operator is operators.eq:
        yield where.left, where.right
