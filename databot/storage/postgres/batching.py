"""One statement for many callers: an INSERT … SELECT of one row, spelled for a whole batch of parameters.

The parameters become arrays, the arrays a table, and the SELECT is asked once for each row of it (`LATERAL`): it finds
what it would find alone. What a batch cannot decide is given back:

* to be run alone: a row that is locked by somebody else, so that one frozen worker holds up nobody but its own
  conversation, and batches never wait for each other in a ring; and a SELECT that finds several rows.
* for the next batch: INSERT … RETURNING does not say which source row a new row came from, so it is known by a unique
  key of the table, and of the same key a batch takes one. The same holds for rows that could see each other (`apart`).

What can be batched is decided here, from the statement; running it is `group`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Dialect,
    PrimaryKeyConstraint,
    Select,
    Table,
    TableValuedAlias,
    UniqueConstraint,
    and_,
    bindparam,
    column,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy import table as table_of
from sqlalchemy.dialects.postgresql import ARRAY, Insert
from sqlalchemy.dialects.postgresql.dml import OnConflictDoUpdate
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.selectable import ForUpdateArg
from sqlalchemy.types import NullType, TypeEngine

from databot.storage.database import Query, Row, compile_query
from databot.storage.postgres.apart import keepers
from databot.storage.statements import fixed

PLACE, LATER, ALONE, APART = "place_", "later_", "alone_", "apart_"
Given = Literal["later", "alone"]
Types = Mapping[str, TypeEngine[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batchable(Query):
    """A statement that can also be run for many sets of its parameters at once.

    `many` takes an array for each of its names, found at `order` in the values of this one. With `locks` it passes over
    rows that others hold: finding nothing then means nothing.
    """

    many: Query
    order: tuple[int, ...]
    locks: bool

    def arrays(self, batch: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
        """The parameters of `many` for these sets of values."""
        return {
            name: [values[at] for values in batch]
            for name, at in zip(self.many.names, self.order, strict=True)
        }

    def results(self, rows: Sequence[Row], size: int) -> "list[list[Row] | Given]":
        """What each of the batch would have given alone, or how it is to be run yet."""
        found: list[list[Row] | Given] = ["alone" if self.locks else [] for _ in range(size)]
        for place, later, alone, added, *row in rows:
            found[place - 1] = "alone" if alone else "later" if later else [row] if added else []
        return found


def compile_batchable(statement: ClauseElement, dialect: Dialect) -> Query:
    """Spell a statement, and for a batch too where that means the same."""
    one = compile_query(statement, dialect)
    found = many_of(statement) if isinstance(statement, Insert) else None
    if found is None:
        return one
    many = compile_query(found, dialect)
    if many.sql.count("unnest(") != 1:  # a parameter stands where the rows do not reach
        return one
    return Batchable(
        sql=one.sql,
        names=one.names,
        many=many,
        order=tuple(one.names.index(name) for name in many.names),
        locks="SKIP LOCKED" in many.sql,
    )


def many_of(statement: Insert) -> ClauseElement | None:
    """The statement for a batch; `None` where rows that run together could see each other, or be mistaken."""
    chosen, table = statement.select, statement.table
    types = parameter_types(statement)
    if not (isinstance(chosen, Select) and isinstance(table, Table) and types):
        return None
    if any(isinstance(part, OnConflictDoUpdate) for part in visitors.iterate(statement)):
        return None
    names = inserted_names(statement)
    key = key_of(table, names)
    apart = keepers(chosen, table, names)
    return together(statement, types, names, key, apart) if key and apart is not None else None


def parameter_types(statement: ClauseElement) -> Types | None:
    """The parameters by name; `None` where one has no type, or there are none."""
    binds = [part for part in visitors.iterate(statement) if isinstance(part, BindParameter)]
    if any(isinstance(bind.type, NullType) for bind in binds):
        return None
    return {bind.key: bind.type for bind in binds} or None


def inserted_names(statement: Insert) -> list[str]:
    """The columns that are inserted, in the order of the SELECT."""
    return list(statement._select_names or ())  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - SQLAlchemy keeps them nowhere else


def key_of(table: Table, names: Sequence[str]) -> list[str]:
    """The columns of a unique key that every inserted row fills in itself; empty when there is none."""
    for rule in (table.primary_key, *sorted(table.constraints, key=lambda rule: str(rule.name))):
        if isinstance(rule, PrimaryKeyConstraint | UniqueConstraint):
            columns = list(rule.columns)
            if columns and all(each.name in names and not each.nullable for each in columns):
                return [each.name for each in columns]
    return []


def together(
    statement: Insert,
    types: Types,
    names: Sequence[str],
    key: Sequence[str],
    apart: Sequence[ColumnElement[Any]],
) -> ClauseElement:
    """The statement over a table of its parameters."""
    rows = rows_of(types)
    insert = over(statement, rows)
    assert isinstance(insert.select, Select)
    wanted = [each["name"] for each in statement.returning_column_descriptions]
    inserted = zip(insert.select.exported_columns, names, strict=True)
    found = insert.select.with_only_columns(
        *(each.label(name) for each, name in inserted),
        *(each.label(f"{APART}{at}") for at, each in enumerate(apart)),
    ).lateral("found")
    place = rows.c[PLACE]
    groups = [[found.c[name] for name in key]]
    groups += [[found.c[f"{APART}{at}"]] for at in range(len(apart))]
    chosen = select(
        place,
        *found.c,
        or_(*(func.min(place).over(partition_by=each) < place for each in groups)).label(LATER),
        (func.count().over(partition_by=place) > fixed("1")).label(ALONE),
    ).cte("chosen")
    is_run = and_(not_(chosen.c[LATER]), not_(chosen.c[ALONE]))
    insert.select = (
        select(*(chosen.c[name] for name in names)).where(is_run).order_by(chosen.c[PLACE])
    )
    table = insert.table
    assert isinstance(table, Table)
    keys = {name: f"key_{name}" for name in key}
    adding = insert.returning(*(table.c[name].label(label) for name, label in keys.items()))
    # By name: what SQLAlchemy remembers of a statement's RETURNING when it is spelled goes into copies of it too.
    added = table_of("added", *(column(name) for name in (*wanted, *keys.values())))
    is_its = and_(is_run, *(added.c[keys[name]] == chosen.c[name] for name in key))
    is_added = added.c[keys[key[0]]].is_not(None)
    given = (chosen.c[PLACE], chosen.c[LATER], chosen.c[ALONE], is_added)
    results = select(*given, *(added.c[name] for name in wanted))
    return results.join_from(chosen, added, is_its, isouter=True).add_cte(adding.cte("added"))


def rows_of(types: Types) -> TableValuedAlias:
    """The parameters as a table: a column each, and the place in the arrays."""
    arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
    columns = [column(name, kind) for name, kind in types.items()]
    table = func.unnest(*arrays).table_valued(*columns, with_ordinality=PLACE, name="rows")
    return table.render_derived()


def over(statement: Insert, rows: TableValuedAlias) -> Insert:
    """A copy of the statement that takes its parameters from the rows, and waits for no lock."""

    def swap(element: Any, **kw: Any) -> Any | None:  # noqa: ANN401 - SQLAlchemy's
        del kw
        return rows.c[element.key] if isinstance(element, BindParameter) else None

    insert = visitors.replacement_traverse(statement, {}, swap)
    assert isinstance(insert, Insert)
    for part in visitors.iterate(insert):
        if isinstance(part, ForUpdateArg):
            part.skip_locked = True
    return insert
