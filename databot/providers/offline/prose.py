"""Prose: numbers, tables and conditions as people read them. Pure text; asks nothing and decides nothing."""

import re
from collections.abc import Collection, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from databot.providers.offline.catalog import PREFIXES, ColumnRef
from databot.providers.offline.lexicon import ENGLISH, LABELS
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
    Totalled,
)
from databot.providers.offline.words import name_words, plural, readable, singular

MAX_ROWS = 20
CELL_CHARACTERS = 60
NOTHING = "–"  # noqa: RUF001 - an en dash, as in printed tables
_PLAIN_ENDINGS = LABELS | {"id", "key", "uuid"}
_YEARS = range(1500, 2101)
_INSTANT = re.compile(r"^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})")
_SAID: dict[Comparator, str] = {
    ">": "over",
    ">=": "at least",
    "<": "under",
    "<=": "at most",
    "=": "=",
    "!=": "other than",
}


_PLAIN = (Compare, OneOf, Contains, Flag, Missing)
"""Filters that read best after "where"."""


def number(value: object) -> str:
    """`1234.5` is `1,234.50`; whole numbers have no decimals, very small ones keep their digits."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not exact.is_finite():
        return str(value)
    if isinstance(value, int) or (
        isinstance(value, str) and exact == exact.to_integral_value() and "." not in value
    ):
        return f"{int(exact):,}"
    if exact and abs(exact) < Decimal("0.01"):
        return f"{exact:.3g}"
    return f"{exact:,.2f}"


def cell(value: object, column: str) -> str:
    """One value of a table, on one line; keys and years are no quantities and get no separators."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if _is_label(column) else number(value)
    if value is None or isinstance(value, bool):
        return number(value)
    text = _INSTANT.sub(r"\1 \2", " ".join(str(value).split()))
    short = text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"
    return short.replace("\\", "\\\\").replace("|", "\\|")


def label(value: object, column: str, *, plain: bool = True) -> str:
    """One value, without separators where it is `plain`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if plain and whole else cell(value, column)


def _is_label(column: str) -> bool:
    """Whether the numbers of a column tell things apart and are no quantities: `order_id`, `Erscheinungsjahr`."""
    words = name_words(column)[-1:]
    return bool(words) and (words[0] in _PLAIN_ENDINGS or words[0].endswith("jahr"))


def _are_years(values: Sequence[object]) -> bool:
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return bool(whole) and len(whole) == len(values) and all(value in _YEARS for value in whole)


def markdown(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    measures: Collection[str] = (),
    labels: Collection[str] = (),
) -> str:
    """A Markdown table; the columns of `measures` hold numbers, also where they came as text; `labels` tell rows apart."""
    heads = [_head(column) for column in columns]
    right = [
        column in measures or all(isinstance(row[n], int | float) or row[n] is None for row in rows)
        for n, column in enumerate(columns)
    ]
    lines = [
        f"| {' | '.join(heads)} |",
        f"| {' | '.join('---:' if is_right else '---' for is_right in right)} |",
    ]
    plain = {*labels} | {c for n, c in enumerate(columns) if _are_years([row[n] for row in rows])}
    for row in rows:
        cells = (
            number(value) if column in measures else label(value, column, plain=column in plain)
            for column, value in zip(columns, row, strict=False)
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _head(column: str) -> str:
    return cell(readable(column) if column.isidentifier() else column, "")


def noun(table: str, *, count: object = 2) -> str:
    """What rows of a table are called: `customers`, or `customer` for one; a name that is no plain English stays."""
    name = readable(table)
    head, _, tail = name.partition(" ")
    name = tail if tail and head in PREFIXES else name
    if not is_english(name.rsplit(" ", maxsplit=1)[-1]):
        return table
    if count in (1, "1"):
        words = name.split(" ")
        return " ".join([*words[:-1], singular(words[-1])])
    return plural(name)


def is_english(word: str) -> bool:
    """Whether the word can be given an English plural: it has one, or is of the usual words."""
    lower = word.casefold()
    speakable = lower.isascii() and lower.isalpha() and bool(set(lower) & set("aeiou"))
    return singular(lower) in ENGLISH or (speakable and len(lower) > 4 and singular(lower) != lower)


def among(names: Sequence[str], joiner: str = "and") -> str:
    """`a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {joiner} {names[-1]}"


def column_name(ref: ColumnRef, subject: str) -> str:
    """A column in prose, with its table's name where that is another one."""
    name = readable(ref.column)
    if ref.table == subject:
        return name
    table = noun(ref.table.rpartition(".")[2], count=1)
    return name if name.startswith(f"{table} ") else f"{table} {name}"


def condition(one: Filter, subject: str) -> str:
    """A filter in words."""
    if isinstance(one, During):
        return one.period.label
    if isinstance(one, OneOf):
        values = among([f"“{value}”" for value in one.values], "or")
        return f"{column_name(one.column, subject)} is {'not ' if one.negated else ''}{values}"
    if isinstance(one, Contains):
        phrases = among([f"“{' '.join(words)}”" for words in one.phrases], "or")
        verb = "does not contain" if one.negated else "contains"
        return f"{column_name(one.column, subject)} {verb} {phrases}"
    if isinstance(one, Compare):
        values = [
            cell(float(value) if "." in value else int(value), one.column.column)
            for value in (one.value, *one.also)
        ]
        return f"{column_name(one.column, subject)} {_SAID[one.operator]} {among(values, 'or')}"
    if isinstance(one, Flag):
        name = column_name(one.column, subject).removeprefix("is ").removeprefix("has ")
        return f"{name} is {'yes' if one.value else 'no'}"
    if isinstance(one, Missing):
        is_so = "is not empty" if one.negated else "is empty"
        return f"{column_name(one.column, subject)} {is_so}"
    if isinstance(one, Totalled):
        return _total(one)
    return f"{'without' if one.negated else 'with'} {noun(one.table.rpartition('.')[2])}"


def _total(one: Totalled) -> str:
    sign = {"=": "exactly"}.get(one.operator, _SAID[one.operator])
    said = f"{sign} {number(Decimal(one.value) if '.' in one.value else int(one.value))}"
    if one.measure.function == "count":
        return f"with {said} {noun(one.measure.table.rpartition('.')[2])}"
    factors = " \N{MULTIPLICATION SIGN} ".join(ref.column for ref in one.measure.columns)
    return f"with {one.measure.table.rpartition('.')[2]}.{factors} adding up to {said}"


def conditions(question: Question) -> str:
    """All filters in words, after a space; times first because they read best so."""
    times = [condition(f, question.table) for f in question.filters if isinstance(f, During)]
    bare = [condition(f, question.table) for f in question.filters if isinstance(f, _PLAIN)]
    rest = [
        condition(f, question.table)
        for f in question.filters
        if not isinstance(f, (During, *_PLAIN))
    ]
    parts = [
        *([among(rest)] if rest else []),
        *times,
        *([f"where {among(bare)}"] if bare else []),
    ]
    return "".join(f" {part}" for part in parts)
