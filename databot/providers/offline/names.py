"""Which words name which table or column of a database: the index that a question is read with.

Names are matched by their words, whole names before parts of names, exact words before synonyms. Misspelt words are
put right by `corrected`, once it is clear that they are not values.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from databot.providers.offline.catalog import SUFFIXES, Column, ColumnRef, Database, Table
from databot.providers.offline.lexicon import (
    BEYOND,
    HARD,
    KEYWORDS,
    MONEY,
    NEUTRAL,
    SYNONYMS,
)
from databot.providers.offline.phrases import rewrite
from databot.providers.offline.words import (
    MARK_CLOSE,
    MARK_OPEN,
    listed,
    name_words,
    nearest,
    readable,
    singular,
)

MAX_WORDS = 5
_GENERIC = frozenset(
    listed(
        """
    id at on by of is has no date name code number type key flag time
    """
    )
)
_TRAILING = frozenset(listed("at on date time code cd dt dttm dtm ts datetime timestamp"))
"""Last words of columns that say what kind of column it is: people leave them out."""
_KEY_ENDS = frozenset({"id", "no", "nr", "cd", "code", "key", "uuid"})
_INFLECTED = ("ed", "ing")
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A table or, with `column`, a column that words may name; `weight` 1 for the whole name, less for a part."""

    table: str
    column: str = ""
    weight: float = 1.0

    @property
    def ref(self) -> ColumnRef:
        return ColumnRef(table=self.table, column=self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameIndex:
    """Targets by their words, and by their exact spelling for names in quotes."""

    by_words: dict[tuple[str, ...], tuple[Target, ...]]
    by_spelling: dict[str, tuple[Target, ...]]
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    steering: re.Pattern[str] | None = None
    """Names of several words that a question could take for a turn of speech: "list price"."""

    def shielded(self, text: str) -> str:
        """The text with such names marked, so that nothing in them steers the question."""
        if self.steering is None:
            return text
        return self.steering.sub(lambda match: f" {MARK_OPEN}name:{match[0]}{MARK_CLOSE} ", text)

    def named(self, words: Sequence[str], *, strict: bool = False) -> tuple[Target, ...]:
        """What exactly these words name, the best first; for one word its synonyms are tried too.

        `strict` leaves out synonyms and parts of names.
        """
        found = self.by_words.get(tuple(words))
        if strict:
            return tuple(target for target in found or () if target.weight >= 0.9)
        if found or len(words) != 1:
            return found or ()
        tried = (self.by_words.get((other,)) for other in SYNONYMS.get(words[0], ()))
        return next((hit for hit in tried if hit), ())


@lru_cache(maxsize=16)
def index(database: Database) -> NameIndex:
    """The index of a database; remembered by the database's identity."""
    by_words: dict[tuple[str, ...], dict[tuple[str, str], Target]] = {}
    spellings: dict[str, list[Target]] = {}

    def add(words: tuple[str, ...], target: Target) -> None:
        if words and len(words) <= MAX_WORDS:
            place = by_words.setdefault(words, {})
            known = place.get((target.table, target.column))
            if known is None or known.weight < target.weight:
                place[target.table, target.column] = target

    for table in database.tables:
        for words, weight in _table_names(table):
            add(words, Target(table=table.name, weight=weight))
        spellings.setdefault(table.name.casefold(), []).append(Target(table=table.name))
        spellings.setdefault(table.short.casefold(), []).append(Target(table=table.name))
        for column in table.columns:
            for words, weight in _column_names(column, table):
                add(words, Target(table=table.name, column=column.name, weight=weight))
            target = Target(table=table.name, column=column.name)
            spellings.setdefault(column.name.casefold(), []).append(target)
    ranked = {
        words: tuple(sorted(place.values(), key=lambda target: -target.weight))
        for words, place in by_words.items()
    }
    return NameIndex(
        by_words=ranked,
        by_spelling={name: tuple(targets) for name, targets in spellings.items()},
        tables=tuple({word: None for table in database.tables for word in table.words}),
        columns=tuple({w: None for t in database.tables for c in t.columns for w in c.words}),
        steering=_steering(database),
    )


def _steering(database: Database) -> re.Pattern[str] | None:
    """Of the names with several words those that `phrases` would rewrite."""
    names = {readable(column.name) for table in database.tables for column in table.columns}
    names |= {readable(table.short) for table in database.tables}
    found = sorted(name for name in names if " " in name and MARK_OPEN in rewrite(name))
    if not found:
        return None
    spelt = "|".join(re.escape(name).replace(r"\ ", r"[\s_]+") for name in reversed(found))
    # At the start "list prices" asks for a list.
    return re.compile(rf"(?<=\w\s)(?<![\w_])(?:{spelt})s?\b", re.IGNORECASE)


def _table_names(table: Table) -> list[tuple[tuple[str, ...], float]]:
    words = table.words
    names = [(words, 1.0)]
    key = table.key
    if key and len(key.words) > 1 and key.words[-1] in _KEY_ENDS:
        names.append((key.words[:-1], 0.9))  # BuchNr is the number of a Buch
    if name_words(table.short) != words:
        names.append((name_words(table.short), 1.0))
    if len(words) > 1:
        if words[-1] in SUFFIXES:
            names.append((words[:-1], 0.9))
        names.append((words[-1:], 0.6))
        names.append((("".join(words),), 0.9))
    return names


def _column_names(column: Column, table: Table) -> list[tuple[tuple[str, ...], float]]:
    words = column.words
    names = [(words, 1.0)]
    if column.is_key and (column.points_at is not None or words[-1] in _KEY_ENDS):
        return names  # customer_id is not what "customer" means: the table is
    if len(words) > 1:
        names.append((("".join(words),), 0.9))
        if words[0] in {"is", "has"}:
            names.append((words[1:], 0.9))
        if words[-1] in _TRAILING:
            names.append((words[:-1], 0.8))
        elif words[: len(table.words)] == table.words:
            names.append((words[len(table.words) :], 0.8))
        names.append((words[-1:], 0.6 if words[-1] not in _GENERIC else 0.5))
        names += [((word,), 0.4) for word in words[:-1] if word not in _GENERIC]
    return names


def corrected(text: str, database: Database, *, columns: bool) -> str:
    """The text with misspelt words put right, where one known word is near enough.

    Only keywords and table names are tried, with `columns` the names of columns too.
    """
    names = index(database)
    known = frozenset(names.tables) | frozenset(names.columns) | MONEY
    wanted = tuple({*names.tables, *KEYWORDS, *MONEY, *(names.columns if columns else ())})

    def put_right(match: re.Match[str]) -> str:
        word = match.group()
        lemma = singular(word)
        if lemma in known or word.casefold() in _USUAL or lemma in _USUAL:
            return word
        better = nearest(lemma, wanted)
        if better is None or (word.endswith(_INFLECTED) and not better.endswith(_INFLECTED)):
            return word  # "shipped" is a state, not a misspelt "shipper"
        return f"{better}s" if singular(f"{better}s") == better and word.endswith("s") else better

    return outside_quotes(text, lambda part: _WORD.sub(put_right, part))


def outside_quotes(text: str, change: Callable[[str], str]) -> str:
    """The text with what stands in no quotes changed."""
    parts = _QUOTED.split(text)
    parts[::2] = [change(part) for part in parts[::2]]
    return "".join(parts)


_QUOTED = re.compile(r"(\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^”]*”)")
_USUAL = (
    NEUTRAL
    | HARD
    | MONEY
    | frozenset(KEYWORDS)
    | frozenset(BEYOND)
    | frozenset(SYNONYMS)
    | frozenset(
        listed(
            """
    show list display give have with from than over under above below more less most least best worst top bottom
    last next this past first second each every only just per day week year hour days weeks years hours months
    quarters june july percent share part sell selling sold bought expensive cheapest cheap frequent common
    popular plot graph draw csv excel parquet spreadsheet download trend time equal exactly except excluding
    exclude other never missing empty null since until till still mean least fewer fewest greater great bigger
    big large larger small smaller high start starts end ends begin begins higher higest lower recent previous current couple following earliest
    biggest greatest youngest
    """
        )
    )
)
