"""Profile: what a column really holds where its type does not say: numbers kept as text, times as text or since 1970.

One SELECT of aggregates over the first rows of a table, made only for columns that a question may be about. What was
found becomes a new `Database` whose columns are of the kind they hold.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from sqlglot import exp

from databot.providers.offline.catalog import Column, ColumnKind, Database, Stored, Table
from databot.providers.offline.dialects import sqlglot_name
from databot.providers.offline.lexicon import LABELS
from databot.providers.offline.reading import Reading
from databot.providers.offline.results import Rows, outcome
from databot.providers.offline.scope import table_expression
from databot.providers.offline.steps import Ask

FIRST_ROWS = 20_000
MAX_COLUMNS = 24
MAX_TABLES = 6
FIGURES = 5
"""Of each column: how many values are filled, are numbers, are ISO dates; the lowest and the highest as text."""
_SECONDS = (100_000_000, 4_200_000_000)
_CODES = LABELS | {"cd", "id", "key"}
_TIMED = ("grain", "latest", "oldest")
_COMPUTED = ("sum", "avg", "min", "max", "top", "bottom", "cmp", "sort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A column and what it holds."""

    table: str
    column: str
    kind: ColumnKind
    stored: Stored


def profiled(
    reading: Reading, database: Database, talked_of: Sequence[str]
) -> Generator[Ask, str, Database]:
    """The database with the kinds of its doubtful columns settled; a look that fails changes nothing."""
    facts: list[Fact] = []
    if any(item.kind == "date" for item in reading.items):
        return database  # there is no such day: whatever is asked is refused
    for table in _touched(reading, database, talked_of):
        columns = _doubtful(table, reading)[:MAX_COLUMNS]
        if columns:
            arguments = {
                "sql": _statement(table, columns, database),
                "connector": database.connector,
                "purpose": "lookup",
            }
            content = yield Ask(tool="sql", arguments=arguments, settled=True)
            result = outcome(content)
            if isinstance(result, Rows) and len(result.rows) == 1:
                facts.extend(_facts(table, columns, result.rows[0]))
    return known(database, tuple(facts)) if facts else database


def _touched(reading: Reading, database: Database, talked_of: Sequence[str]) -> list[Table]:
    named = [target.table for item in reading.nouns for target in item.targets]
    every = [table.name for table in database.tables] if any(i.money for i in reading.nouns) else []
    names = dict.fromkeys((*named, *talked_of, *every))
    return [database.by_name[name] for name in names if name in database.by_name][:MAX_TABLES]


def _doubtful(table: Table, reading: Reading) -> list[Column]:
    """The columns whose values a question may need and whose type does not say what they are."""
    timed = bool(reading.periods) or reading.has(*_TIMED)
    untyped = bool(table.columns) and all(
        column.is_text or column.kind == "other" for column in table.columns
    )
    timeless = all(column.kind != "time" for column in table.columns)
    computed = set(_computed(reading, table.name))
    return [
        column
        for column in table.columns
        if not column.stored
        and not column.is_key
        and (
            (column.is_text and (untyped or column.name in computed or (timed and timeless)))
            or (timed and column.timely and (column.is_text or column.kind == "number"))
            or (timed and column.kind == "time" and table.schemaless)
        )
    ]


def _computed(reading: Reading, table: str) -> Iterator[str]:
    if reading.has(*_COMPUTED) or any(item.kind == "operator" for item in reading.items):
        # "max price by category" computes with what stands before "by", "top 5 products by price" behind.
        split = next((item.at for item in reading.marks("by")), None)
        ranked = reading.has("top", "bottom")
        for item in reading.nouns:
            if split is not None and (item.at > split) is not ranked:
                continue
            yield from (t.column for t in item.columns if t.table == table and t.weight >= 0.6)


def _statement(table: Table, columns: Sequence[Column], database: Database) -> str:
    names = [exp.column(column.name, quoted=True) for column in columns]
    first = exp.Select().select(*names).from_(table_expression(table)).limit(FIRST_ROWS)
    figures = [
        exp.alias_(figure, f"{name}_{number}", quoted=True)
        for number, column in enumerate(columns)
        for name, figure in _figures(column).items()
    ]
    query = (
        exp.Select().select(*figures).from_(exp.alias_(first.subquery(), "first_rows", table=True))
    )
    return query.sql(dialect=sqlglot_name(database.dialect))


def _figures(column: Column) -> dict[str, exp.Expr]:
    text = exp.Trim(this=exp.cast(exp.column(column.name, quoted=True), "TEXT"))
    value = exp.Nullif(this=text, expression=exp.Literal.string(""))
    worded = column.is_text and not column.timely
    return {
        "filled": exp.Count(this=value),
        "numbers": _how_many(_is_number(text)) if worded else exp.Literal.number(0),
        "dates": _how_many(_like(text, "____-__-__%")),
        "lowest": exp.Min(this=value.copy()),
        "highest": exp.Max(this=value.copy()),
    }


def _how_many(condition: exp.Expr) -> exp.Expr:
    hit = exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))])
    return exp.Count(this=hit)


def _is_number(text: exp.Expr) -> exp.Expr:
    """Digits and at most one point, after at most one minus, in words that every dialect has."""
    left = text.copy()
    for digit in "0123456789":
        left = exp.func("REPLACE", left, exp.Literal.string(digit), exp.Literal.string(""))
    shorter = exp.LT(this=exp.Length(this=left.copy()), expression=exp.Length(this=text.copy()))
    plain = exp.In(this=left.copy(), expressions=[exp.Literal.string(s) for s in ("", ".")])
    minus = exp.In(this=left.copy(), expressions=[exp.Literal.string(s) for s in ("-", "-.")])
    return exp.and_(shorter, exp.or_(plain, exp.and_(minus, _like(text, "-%"))))


def _like(text: exp.Expr, pattern: str) -> exp.Expr:
    return exp.Like(this=text.copy(), expression=exp.Literal.string(pattern))


def _facts(table: Table, columns: Sequence[Column], row: Sequence[object]) -> Iterator[Fact]:
    for number, column in enumerate(columns):
        found = _fact(column, row[number * FIGURES : (number + 1) * FIGURES])
        if found and found != (column.kind, column.stored):
            yield Fact(table=table.name, column=column.name, kind=found[0], stored=found[1])


def _fact(column: Column, figures: Sequence[object]) -> tuple[ColumnKind, Stored] | None:
    if len(figures) < FIGURES or not figures[0]:
        return None
    filled, numbers, dates, lowest, highest = figures
    if dates == filled and _is_date(str(lowest)) and _is_date(str(highest)):
        return "time", "text" if column.is_text else ""
    if numbers == filled or not column.is_text:
        return _numeric(column, str(lowest), str(highest))
    return "text", ""


def _numeric(column: Column, lowest: str, highest: str) -> tuple[ColumnKind, Stored] | None:
    if column.timely and "." not in lowest + highest and len(lowest) == len(highest):
        low, high = int(lowest), int(highest)
        for stored, scale in (("seconds", 1), ("milliseconds", 1000)):
            if _SECONDS[0] * scale <= low <= high <= _SECONDS[1] * scale:
                return "time", "seconds" if stored == "seconds" else "milliseconds"
    label = bool(_CODES & set(column.words))
    if not column.is_text or label or re.match(r"0\d", lowest):
        return None  # 00123 is a code, and a postcode is one anyway
    return "number", "text"


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text[:10]))
    except ValueError:
        return False


@lru_cache(maxsize=64)
def known(database: Database, facts: tuple[Fact, ...]) -> Database:
    """The database with these facts; the same object for the same facts, because much is remembered by it."""
    by_column = {(fact.table, fact.column): fact for fact in facts}

    def settled(table: str, column: Column) -> Column:
        fact = by_column.get((table, column.name))
        return replace(column, kind=fact.kind, stored=fact.stored) if fact else column

    tables = tuple(
        replace(table, columns=tuple(settled(table.name, column) for column in table.columns))
        if any(fact.table == table.name for fact in facts)
        else table
        for table in database.tables
    )
    return Database(
        connector=database.connector,
        dialect=database.dialect,
        tables=tables,
        truncated=database.truncated,
    )
