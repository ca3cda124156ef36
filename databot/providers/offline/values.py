"""Values: finding the words of a question in the data, before they are used as a filter.

Two looks, both one SELECT: first for values that contain a piece of each word; when that finds nothing, at the few
values of columns like a status or a country, so that a misspelling is recognised and the person can be told what there
is. A word found nowhere is never used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from sqlglot import exp

from databot.providers.offline.catalog import ColumnRef, Database
from databot.providers.offline.dialects import sqlglot_name
from databot.providers.offline.draft import Strange
from databot.providers.offline.joins import graph
from databot.providers.offline.question import Contains, OneOf
from databot.providers.offline.scope import table_expression
from databot.providers.offline.words import name_parts, name_words, singular

MAX_COLUMNS = 24
HITS_PER_COLUMN = 8
FEW = 9
"""A column with at most this many different values is shown as a choice."""
FEW_COLUMNS = 5
MIN_LIKENESS = 84.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A value that words of the question mean; `exact` when they are its very words."""

    value: Value
    positions: frozenset[int]
    quality: int


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
    return column.kind == "text" and not (column.is_key and "uuid" in column.type.lower())


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


def match(
    strange: Sequence[Strange], lemmas: Sequence[tuple[int, str]], values: Sequence[Value]
) -> tuple[Match, ...]:
    """The values that the strange words mean, each word in at most one, the best first."""
    open_words = {one.at: one for one in strange}
    scored = [found for value in values for found in _matches(value, open_words, lemmas)]
    order = {value: n for n, value in enumerate(values)}
    scored.sort(
        key=lambda m: (-m.quality, -len(m.positions), _unhinted(m, open_words), order[m.value])
    )
    chosen: list[Match] = []
    covered: dict[int, Match] = {}
    for one in scored:
        fresh = one.positions & open_words.keys()
        rivals = [covered[at] for at in fresh if at in covered]
        same = all(
            r.quality == one.quality == 1 and r.value.column == one.value.column for r in rivals
        )
        if fresh and (not rivals or same):
            chosen.append(one)
            covered |= {at: one for at in fresh if at not in covered}
    return tuple(chosen)


def _unhinted(found: Match, words: dict[int, Strange]) -> int:
    hinted = any(found.value.column in words[at].hints for at in found.positions if at in words)
    return 0 if hinted else 1


def _matches(
    value: Value, words: dict[int, Strange], lemmas: Sequence[tuple[int, str]]
) -> list[Match]:
    """3: the value's very words stand in the question; 2: nearly; 1: the value has the word among others."""
    found: list[Match] = []
    own = name_words(value.value)
    for start in range(len(lemmas) - len(own) + 1):
        window = lemmas[start : start + len(own)]
        positions = frozenset(at for at, _ in window)
        if own and tuple(lemma for _, lemma in window) == own and positions & words.keys():
            found.append(Match(value=value, positions=positions, quality=3))
    for at, one in words.items():
        said = name_words(one.text)
        if one.quoted:
            same = one.text.casefold() == value.value.casefold() or said == own
            inside = one.text.casefold() in value.value.casefold()
            quality = 3 if same else 1 if inside else 0
        else:
            alike = len(one.text) >= 4 and _alike(" ".join(said), " ".join(own))
            alike = alike or _initials(one.text, own)
            quality = 2 if alike else 1 if said and set(said) <= set(own) else 0
        if quality:
            found.append(Match(value=value, positions=frozenset({at}), quality=quality))
    return found


def _initials(said: str, own: Sequence[str]) -> bool:
    """Whether capitals are those of the value's words: UK, USA."""
    letters = "".join(word[0] for word in own if word not in {"of", "the", "and"})
    return said.isupper() and len(said) > 1 and said.casefold() == letters


def _alike(said: str, own: str) -> bool:
    """Nearly the same letters; a digit more or less is another thing altogether."""
    digits = [character for character in said if character.isdigit()]
    same = digits == [character for character in own if character.isdigit()]
    return same and fuzz.ratio(said, own) >= MIN_LIKENESS


def filters(matches: Sequence[Match], strange: Sequence[Strange]) -> tuple[OneOf | Contains, ...]:
    """One filter a column; its values are alternatives. Words inside longer values are looked for as such."""
    negated = {one.at for one in strange if one.negated}
    by_column: dict[tuple[ColumnRef, bool], list[Match]] = {}
    for one in matches:
        key = (one.value.column, bool(one.positions & negated))
        by_column.setdefault(key, []).append(one)
    return tuple(
        _filter(column, found, strange, negated=no) for (column, no), found in by_column.items()
    )


def _filter(
    column: ColumnRef, found: Sequence[Match], strange: Sequence[Strange], *, negated: bool
) -> OneOf | Contains:
    values = tuple(dict.fromkeys(one.value.value for one in found))
    if len(values) == 1 or all(one.quality > 1 for one in found):
        return OneOf(column=column, values=values, negated=negated)
    covered = frozenset().union(*(one.positions for one in found))
    return Contains(column=column, phrases=_phrases(strange, covered), negated=negated)


def _phrases(strange: Sequence[Strange], covered: frozenset[int]) -> tuple[tuple[str, ...], ...]:
    """The words that stand side by side belong together; others are alternatives."""
    phrases: list[list[str]] = []
    last = -2
    for one in sorted(strange, key=lambda one: one.at):
        if one.at in covered:
            if one.at == last + 1:
                phrases[-1].append(one.text)
            else:
                phrases.append([one.text])
            last = one.at
    return tuple(tuple(phrase) for phrase in phrases)


def unmatched(strange: Sequence[Strange], matches: Sequence[Match]) -> tuple[Strange, ...]:
    """The words that were found nowhere."""
    covered = {at for one in matches for at in one.positions}
    return tuple(one for one in strange if one.at not in covered)
