"""Abbreviations: names cut short, and the words of a question that they stand for: PAT, VST_TYP_CD, `prio`.

A word is only read as a name that one name of the database can be; how it was read is told with the answer.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from databot.providers.offline.catalog import Database
from databot.providers.offline.lexicon import HARD, NEUTRAL
from databot.providers.offline.names import index, outside_quotes
from databot.providers.offline.phrases import rewrite
from databot.providers.offline.prose import among
from databot.providers.offline.words import MARK_OPEN, fold, name_parts, singular

_WORD = re.compile(r"\b[^\W\d_]{3,}\b")
_OF = re.compile(r"\b([^\W\d_])[^\W\d_]+ of ([^\W\d_])[^\W\d_]+\b", re.IGNORECASE)
_ENDINGS = ("ed", "ing", "s")
_VOWELS = "aeiouy"
_USUAL: dict[str, tuple[str, ...]] = {
    "cd": ("code",),
    "dob": ("birthday", "birthdate"),
    "dt": ("date",),
    "dttm": ("datetime",),
    "dx": ("diagnosis",),
    "ln": ("line",),
    "lvl": ("level",),
    "nm": ("name",),
    "no": ("number",),
    "nr": ("number",),
    "num": ("number",),
    "pct": ("percent", "percentage"),
    "rx": ("prescription", "medication"),
    "sex": ("gender",),
    "gender": ("sex",),
    "tx": ("transaction", "treatment"),
    "txn": ("transaction",),
    "wh": ("warehouse",),
}
"""Abbreviations that no rule about letters finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """A text in the words of the database, and which of its words were read as what."""

    text: str
    read: tuple[tuple[str, str], ...] = ()

    @property
    def note(self) -> str:
        """How its words were read, in a sentence; empty when they were the names themselves."""
        pairs = [f"“{word}” as {name}" for word, name in self.read]
        return f"I read {among(pairs)}" if pairs else ""


def expanded(
    before: Expanded, database: Database, words: Collection[str], *, tables: bool = False
) -> Expanded:
    """The text with each of the words put as the name it is short or long for, if there is only one.

    With `tables` only names of tables are put: what is left may be values of them.
    """
    read = dict(before.read)
    single = {part for word in words for part in word.split()}
    spelling = _spelling(database)

    def put(match: re.Match[str]) -> str:
        word = match[0]
        name = _name_for(word, database, tables=tables) if word in single else ""
        if not name:
            return word
        read[word] = spelling.get(name, name)
        many = f"{name}s"
        return many if singular(word) != word.casefold() and singular(many) == name else name

    def put_initials(match: re.Match[str]) -> str:
        name = f"{match[1]}o{match[2]}".casefold()
        if name not in spelling or tables:
            return match[0]
        read[match[0]] = spelling[name]
        return name

    found = outside_quotes(before.text, lambda part: _OF.sub(put_initials, part))
    found = outside_quotes(found, lambda part: _WORD.sub(put, part))
    return Expanded(text=found, read=tuple(read.items()))


def freely(text: str, database: Database) -> str:
    """The text with every word put so: good enough to see which tables it may be about."""
    return expanded(Expanded(text=text), database, _WORD.findall(text)).text


@lru_cache(maxsize=16)
def _spelling(database: Database) -> dict[str, str]:
    """The words of all names, as they are spelt there."""
    names = [table.short for table in database.tables]
    names += [column.name for table in database.tables for column in table.columns]
    return {fold(singular(part)): part for name in names for part in name_parts(name)}


@lru_cache(maxsize=4_096)
def _name_for(word: str, database: Database, *, tables: bool) -> str:
    names, lemma = index(database), fold(singular(word))
    every = {*names.tables, *names.columns}
    known = set(names.tables) if tables else every
    steering = MARK_OPEN in rewrite(word)
    if lemma in every or lemma in HARD or lemma in NEUTRAL or steering:
        return ""
    ranked = sorted(((_strength(name, lemma), name) for name in known), reverse=True)
    best = [name for strength, name in ranked if strength[0] and strength == ranked[0][0]]
    return best[0] if len(best) == 1 else ""


def _strength(name: str, word: str) -> tuple[int, int]:
    """How surely one is short for the other: 3 by custom, 2 as its beginning, 1 by letters in their order, 0 not.

    Then by how many letters they share: `country` is CTRY rather than CTY.
    """
    short, long = sorted((name, word), key=len)
    if word in _USUAL.get(name, ()):
        return 3, 0
    if len(short) >= 3 and long.startswith(short):
        return 2, len(short)
    found = short == name and any(_in_order(name, stem) for stem in _stems(word))
    return int(found), len(short)


def _stems(word: str) -> Iterable[str]:
    yield word
    yield from (word.removesuffix(ending) for ending in _ENDINGS if word.endswith(ending))


def _in_order(short: str, word: str) -> bool:
    """The first and the last letter that is heard, and between them letters in their order: VST, DEPT, CHRG."""
    bare = word.rstrip(_VOWELS) or word
    if len(short) < 3 or len(short) >= len(word) or short[0] != word[0]:
        return False
    ends = short[-1] == bare[-1] or short[-1] == word[-1]
    rest = iter(word)
    return ends and all(letter in rest for letter in short)
