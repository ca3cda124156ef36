"""Values: finding the words of a question in the data, before they are used as a filter.

Two looks, both one SELECT: first for values that contain a piece of each word; when that finds nothing, at the few
values of columns like a status or a country, so that a misspelling is recognised and the person can be told what there
is. A word found nowhere is never used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.dialects import sqlglot_name
from databot.providers.offline.draft import Strange
from databot.providers.offline.joins import graph
from databot.providers.offline.scope import table_expression
from databot.providers.offline.words import name_parts, name_words, singular

MAX_COLUMNS = 24
HITS_PER_COLUMN = 8
FEW = 9
"""A column with at most this many different values is shown as a choice."""
FEW_COLUMNS = 5
_TELLING = (
    "status",
    "state",
    "type",
    "kind",
    "category",
    "country",
    "city",
    "region",
    "gender",
    "level",
    "name",
    "method",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value that stands in a column."""

    column: ColumnRef
    value: str


def candidates(
    database: Database, tables: Sequence[str], hints: Iterable[ColumnRef]
) -> tuple[ColumnRef, ...]:
    """The text columns a value may stand in: hinted ones, then those of the tables and of what they point at."""
    edges = graph(database)
    ranked: dict[ColumnRef, int] = {hint: -1 for hint in hints if _is_text(hint, database)}
    for start in tables:
        for table, steps in edges.paths(start).items():
            for column in database.by_name[table].columns:
                ref = ColumnRef(table=table, column=column.name)
                if _is_text(ref, database) and len(steps) <= 3:
                    ranked[ref] = min(ranked.get(ref, 99), len(steps) * 10 + _rank(column.words))
    return tuple(sorted(ranked, key=lambda ref: ranked[ref])[:MAX_COLUMNS])


def _is_text(ref: ColumnRef, database: Database) -> bool:
    column = database.column(ref)
    # What is only called a time may hold words: a "time of day".
    wordy = column.kind == "text" or (
        column.kind == "time" and column.is_text and not column.stored
    )
    return wordy and not (column.is_key and "uuid" in column.type.lower())


def _rank(words: tuple[str, ...]) -> int:
    return next((n for n, word in enumerate(_TELLING) if word in words), len(_TELLING)) // 2


def lookup(database: Database, columns: Sequence[ColumnRef], strange: Sequence[Strange]) -> str:
    """One SELECT of the values in these columns that contain a piece of one of the words, the closest first."""
    words = sorted({word.lower() for one in strange for word in _searched(one)})
    pieces = sorted({piece(word) for word in words})
    selects = [_containing(database, ref, n, words, pieces) for n, ref in enumerate(columns)]
    return _all_of(selects, database)


def _searched(one: Strange) -> tuple[str, ...]:
    return (one.text,) if one.quoted else tuple(one.text.split())


def few_values(database: Database, columns: Sequence[ColumnRef]) -> str:
    """One SELECT of the first values of the columns that probably have few."""
    telling = sorted(columns, key=lambda ref: _rank(name_words(ref.column)))[:FEW_COLUMNS]
    selects = [_distinct(database, ref, FEW + 1) for ref in telling]
    return _all_of(
        [
            _numbered(select, ref, columns.index(ref))
            for select, ref in zip(selects, telling, strict=True)
        ],
        database,
    )


def piece(word: str) -> str:
    """The part of a word that a misspelt or inflected value still contains."""
    # As it is spelt: the data knows nothing of folded umlauts.
    letters = max(name_parts(word.lower()), key=len, default=word)
    if letters.isascii():
        letters = singular(letters)
    return letters[: max(3, min(len(letters) - 2, 5))]


def _text(database: Database, ref: ColumnRef) -> exp.Expr:
    column = exp.column(ref.column, quoted=True)
    kind = database.column(ref).type.lower()
    plain = "char" in kind or "text" in kind or database.dialect == "sqlite"
    return (
        column
        if plain and database.dialect not in {"mysql", "mariadb"}
        else exp.cast(column, "TEXT")
    )


def _distinct(database: Database, ref: ColumnRef, limit: int) -> exp.Select:
    value = exp.alias_(_text(database, ref), "value", quoted=True)
    table = table_expression(database.by_name[ref.table])
    filled = exp.Not(this=exp.Is(this=exp.column(ref.column, quoted=True), expression=exp.Null()))
    return exp.Select().select(value).distinct().from_(table).where(filled).limit(limit)


def _containing(
    database: Database, ref: ColumnRef, number: int, words: Sequence[str], pieces: Sequence[str]
) -> exp.Select:
    lowered = exp.Lower(this=_text(database, ref))
    found = _distinct(database, ref, HITS_PER_COLUMN).where(_any_like(lowered, pieces))
    found.set("distinct", None)
    # The whole word before a piece of it and the shorter value first: the limit must not cut the very value off.
    whole = exp.Case(
        ifs=[exp.If(this=_any_like(lowered, words), true=exp.Literal.number(0))],
        default=exp.Literal.number(1),
    )
    text = _text(database, ref)
    ordered = found.group_by(text).order_by(whole, exp.Length(this=text.copy()), text.copy())
    return _numbered(ordered, ref, number)


def _any_like(lowered: exp.Expr, parts: Sequence[str]) -> exp.Expr:
    likes = [exp.Like(this=lowered.copy(), expression=exp.Literal.string(f"%{p}%")) for p in parts]
    return exp.or_(*likes)


def _numbered(inner: exp.Select, ref: ColumnRef, number: int) -> exp.Select:
    """Each value with the place it was found in, by number and by name."""
    return (
        exp.Select()
        .select(
            exp.alias_(exp.Literal.number(number), "place", quoted=True),
            exp.alias_(exp.Literal.string(f"{ref.table}.{ref.column}"), "column", quoted=True),
            exp.column("value", quoted=True),
        )
        .from_(exp.alias_(inner.subquery(), f"v{number}", quoted=True, table=True))
    )


def _all_of(selects: Sequence[exp.Select], database: Database) -> str:
    united: exp.Select | exp.SetOperation = selects[0]
    for select in selects[1:]:
        united = exp.union(united, select, distinct=False, copy=False)
    query = (
        exp.Select()
        .select(exp.Star())
        .from_(exp.alias_(exp.Subquery(this=united), "found", table=True))
    )
    return query.sql(dialect=sqlglot_name(database.dialect))


def values_of(rows: Sequence[Sequence[object]], columns: Sequence[ColumnRef]) -> tuple[Value, ...]:
    """The values of a lookup's result."""
    places = {str(number): column for number, column in enumerate(columns)}
    return tuple(
        Value(column=places[str(row[0])], value=str(row[2]))
        for row in rows
        if len(row) == 3 and str(row[0]) in places
    )
