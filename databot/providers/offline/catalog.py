"""The catalog: what the `schema` tool told about the connected databases, as values.

Classifies columns by what can be done with them and says which words name which table or column. It holds no data and
asks for none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from databot.providers.offline.kinds import (
    TIME_WORDS,
    ColumnKind,
    Stored,
    is_textual,
    kind_of,
)
from databot.providers.offline.words import name_words

PREFIXES = frozenset({"dim", "fact", "fct", "stg", "tbl", "vw", "src", "raw", "mart"})
"""First words of table names that say what kind of table it is, not what is in it."""

SUFFIXES = frozenset(
    [
        "hdr",
        "header",
        "mst",
        "mstr",
        "master",
        "tbl",
        "tab",
        "info",
        "data",
        "rec",
        "record",
        "lkp",
        "log",
        "history",
        "hist",
        "journal",
    ]
)
"""Last words of table names that say the same."""

_SCHEMALESS = {"sqlite"}
_LABELS = (
    "name",
    "nm",
    "title",
    "titel",
    "label",
    "full name",
    "display name",
    "username",
    "bezeichnung",
    "email",
    "code",
)
_PERSONS = (
    ("first name", "last name"),
    ("fname", "lname"),
    ("given name", "family name"),
    ("vorname", "nachname"),
    ("firstname", "lastname"),
    ("forename", "surname"),
)
_LABEL_ENDS = ("name", "nm", "title", "titel")
_DESCRIPTIONS = {"desc", "description"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. `points_at` is the table and column a declared foreign key leads to."""

    name: str
    type: str
    kind: ColumnKind
    primary: bool = False
    points_at: tuple[str, str] | None = None
    stored: Stored = ""

    @property
    def words(self) -> tuple[str, ...]:
        return name_words(self.name)

    @property
    def is_text(self) -> bool:
        """Declared as text, or as nothing at all."""
        return is_textual(self.type)

    @property
    def timely(self) -> bool:
        """Called like a time: `ordered_at`, `ADM_DTTM`."""
        return bool(self.words) and self.words[-1] in TIME_WORDS

    @property
    def is_key(self) -> bool:
        """Identifies rows rather than saying something about them."""
        words = self.words
        return (
            self.primary
            or self.points_at is not None
            or words[-1:] in {("id",), ("uuid",), ("key",)}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRef:
    """Names a column of one database."""

    table: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; `columns` is empty when the schema tool had no room to list them."""

    name: str
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    comment: str = ""
    schemaless: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """Schema and name, or the name alone."""
        schema, dot, name = self.name.partition(".")
        if not (dot and schema and name) or (self.schemaless and schema not in {"main", "temp"}):
            return (self.name,)
        return (schema, name)

    @property
    def short(self) -> str:
        return self.path[-1]

    @property
    def words(self) -> tuple[str, ...]:
        """What people call it: without `dim_`, `fact_` and the like."""
        words = name_words(self.short)
        return words[1:] if len(words) > 1 and words[0] in PREFIXES else words

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    @property
    def key(self) -> Column | None:
        """The single column that identifies a row, if there is one."""
        primary = [column for column in self.columns if column.primary]
        if len(primary) == 1:
            return primary[0]
        if primary:
            return None
        own = ((*self.words, "id"), ("id",))
        return next((column for column in self.columns if column.words in own), None)

    @property
    def labels(self) -> tuple[Column, ...]:
        """The columns people know a row by: a name, a title, first and last name."""
        by_words = {" ".join(column.words): column for column in self.columns}
        for pair in _PERSONS:
            if all(word in by_words for word in pair):
                return tuple(by_words[word] for word in pair)
        wanted = (*_LABELS, *(f"{' '.join(self.words)} {label}" for label in _LABELS))
        exact = next((by_words[word] for word in wanted if word in by_words), None)
        ends = (
            c
            for c in self.columns
            if c.kind == "text" and c.words and c.words[-1].endswith(_LABEL_ENDS)
        )
        said = (c for c in self.columns if c.kind == "text" and set(c.words) & _DESCRIPTIONS)
        found = exact or next(ends, None) or next(said, None)
        return (found,) if found else ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Database:
    """One connector's tables.

    Compared by identity, because what is derived from a large catalog is remembered by it; not slotted for the same reason.
    """

    connector: str
    dialect: str
    tables: tuple[Table, ...]
    truncated: bool = False

    @cached_property
    def by_name(self) -> dict[str, Table]:
        return {table.name: table for table in self.tables}

    def find(self, name: str) -> Table | None:
        """A table by its name, qualified or not."""
        exact = self.by_name.get(name)
        return exact or next((t for t in self.tables if t.short == name.rpartition(".")[2]), None)

    def column(self, ref: ColumnRef) -> Column:
        """The column a reference names; references are only made from this database."""
        found = self.by_name[ref.table].column(ref.column)
        if found is None:
            raise KeyError(ref.column)
        return found


def make_column(name: str, type_name: str, note: str) -> Column:
    """A column from the schema tool's `[name, type, note]`; the note is `pk`, `fk table.column`, or both."""
    foreign = re.search(r"\bfk\s+(.+)\.([^.]+?)\s*$", note)
    return Column(
        name=name,
        type=type_name,
        kind=kind_of(name, type_name),
        primary=bool(re.match(r"\s*pk\b", note)),
        points_at=(foreign.group(1), foreign.group(2)) if foreign else None,
    )


def make_table(
    name: str, columns: Iterable[Column], dialect: str, rows: int | None, comment: str
) -> Table:
    """A table of a database that speaks `dialect`."""
    return Table(
        name=name,
        columns=tuple(columns),
        rows=rows,
        comment=comment,
        schemaless=dialect in _SCHEMALESS,
    )


@lru_cache(maxsize=32)
def merge(first: tuple[Database, ...], second: tuple[Database, ...]) -> tuple[Database, ...]:
    """Two looks at the same databases; what the second one knows more of wins."""
    merged = {database.connector: database for database in first}
    for database in second:
        known = merged.get(database.connector)
        tables = {table.name: table for table in known.tables} if known else {}
        tables |= {
            table.name: table
            for table in database.tables
            if table.columns or table.name not in tables
        }
        merged[database.connector] = Database(
            connector=database.connector,
            dialect=database.dialect,
            tables=tuple(tables.values()),
            truncated=known.truncated if known else database.truncated,
        )
    return tuple(merged.values())
