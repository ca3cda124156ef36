"""Words for writing statements: parameters named and typed after columns, numbers that are part of the text."""

from typing import Any, TypeVar

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    GenerativeSelect,
    Table,
    and_,
    bindparam,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import Insert, insert  # SQLite spells ON CONFLICT alike

S = TypeVar("S", bound=GenerativeSelect)


def param(column: Column[Any], name: str = "") -> BindParameter[Any]:
    """A parameter for a value of that column, named after it unless told otherwise."""
    return bindparam(name or column.name, type_=column.type)


def same(*columns: Column[Any]) -> ColumnElement[bool]:
    """Every column equals the parameter of its name."""
    return and_(*(column == param(column) for column in columns))


def fixed(sql: str) -> ColumnElement[Any]:
    """A constant as part of the statement's text."""
    return literal_column(sql)


def at_most(found: S, count: ColumnElement[Any]) -> S:
    """LIMIT; the offset is spelled out because SQLAlchemy would make it a value of the statement on SQLite."""
    return found.limit(count).offset(fixed("0"))


def insert_chosen(
    table: Table,
    values: dict[Column[Any], ColumnElement[Any]],
    where: ColumnElement[bool],
    *,
    locking: Table | None = None,
    shared: bool = False,
) -> Insert:
    """INSERT … SELECT: the row is written only where the condition finds one.

    On PostgreSQL the found row of `locking` is locked meanwhile; SQLite has one writer and needs no lock. Everything that
    locks, locks the conversation and locks it first, so that no two wait for each other.
    """
    found = select(*values.values()).where(where)
    if locking is not None:
        found = found.with_for_update(of=locking, read=shared)
    return insert(table).from_select([column.name for column in values], found)
