"""The one way to the database: prepared statements, one read at a time, or a unit of writes as one transaction.

SQLAlchemy describes the statements and spells them for each database, once, when the store opens; running one costs
only the native client. Statements therefore hold no values of their own: everything that varies is a named parameter.
Not here: threads (`sqlite`), connections (`postgres`), and what the rows mean (the classes beside the statements).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, Dialect, Update
from sqlalchemy.dialects.postgresql import Insert  # SQLite spells ON CONFLICT alike
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

T = TypeVar("T")
Params = Mapping[str, Any]
Row = Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A statement in a database's own spelling; `names` are its parameters by position.

    `numbers` says that its one row of result is the number of the row it inserted (see `Database.prepare_insert`).
    """

    sql: str
    names: tuple[str, ...]
    numbers: bool = False

    def values(self, params: Params) -> tuple[Any, ...]:
        """The parameters in their order."""
        return tuple([params[name] for name in self.names])


Action = tuple[Query, Params]


class Database(Protocol):
    """Runs prepared statements. Every failure is a `StorageError`, a passing one a `StorageUnavailable`.

    `where` says which database it is, for people: no secrets in it.
    """

    where: str

    def prepare(self, statement: ClauseElement) -> Query:
        """Spell a statement for this database, once."""
        ...

    def prepare_insert(self, statement: Insert, number: Column[Any]) -> Query:
        """Spell an INSERT of at most one row, which then gives the `number` the new row got, or no row at all.

        SQLite knows that number by itself; asking for it with RETURNING made ingest a quarter dearer there.
        """
        ...

    def prepare_each(self, statement: Update) -> Query:
        """Spell an UPDATE of at most one row, for `write_each`."""
        ...

    async def read(self, query: Query, params: Params, decode: Callable[[Sequence[Row]], T]) -> T:
        """Run a query and give what `decode` makes of all its rows; `decode` may run in another thread."""
        ...

    async def write(self, unit: Sequence[Action], *, durable: bool = True) -> list[Sequence[Row]]:
        """Run the unit as one transaction and give the rows of each statement.

        `durable=False` may return when the unit has been run and is not committed; it is then committed with, and before,
        the next one. Should that fail, nobody is told.
        A caller that is cancelled while it waits does not know whether its unit was committed; nor does anybody when a
        connection is lost. So a unit must leave the same behind when it is run twice.
        """
        ...

    async def write_each(self, query: Query, batch: Sequence[Params]) -> list[Sequence[Row]]:
        """Run an UPDATE (see `prepare_each`) for each of these and give the rows of each; `write` says the rest."""
        ...

    async def aclose(self) -> None:
        """Finish what was begun and close. Safe to call more than once."""
        ...


def compile_query(statement: ClauseElement, dialect: Dialect) -> Query:
    """Spell `statement` in `dialect`, refusing one that holds values of its own."""
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    fixed = [name for name, value in compiled.params.items() if value is not None]
    assert not fixed, f"values inside a prepared statement: {fixed}"
    return Query(sql=compiled.string, names=tuple(compiled.positiontup or ()))


def single(rows: Sequence[Row]) -> Row | None:
    """The first row, if there is one."""
    return rows[0] if rows else None
