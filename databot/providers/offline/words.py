"""Words and names: how text is cut into tokens and how two spellings of one name are brought together.

Knows English morphology a little and no database at all. `lexicon` holds the fixed vocabulary.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz import process
from rapidfuzz.distance import OSA

TokenKind = Literal["word", "number", "date", "quoted", "operator", "mark"]

MARK_OPEN, MARK_CLOSE = "\x01", "\x02"
"""Around a mark in rewritten text; control characters cannot come from a person, they are removed first."""

_TOKEN = re.compile(
    r"\x01(?P<mark>[a-z]+)(?::(?P<argument>[^\x02]*))?\x02"
    r"|(?<!\w)(?:\"(?P<double>[^\"]{1,200})\"|'(?P<single>[^']{1,200})'(?!\w)|`(?P<tick>[^`]{1,200})`"
    r"|“(?P<curly>[^”]{1,200})”)"
    r"|(?P<hyphened>[^\W\d_]+(?:-\w+)+)"
    r"|(?P<code>(?<![\w.,])\d+(?:\.\d+){2,}(?:-?[A-Za-z]\w*)*(?!\w)|(?<![\w.,-])\d+(?:\.\d+)*-[A-Za-z]\w*(?:-\w+)*)"
    r"|(?P<date>(?<![\w.])\d{4}-\d{2}-\d{2}(?!\w))"
    r"|(?P<number>(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?P<suffix>[kKmM]\b)?(?![\w]))"
    r"|(?P<operator>>=|<=|!=|<>|=|>|<|,)"
    r"|(?P<word>\w+(?:'\w+)?)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PARTS = re.compile(r"[^\W_]+")
_IRREGULAR = {
    "people": "person",
    "persons": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "data": "data",
    "series": "series",
    "has": "has",
    "was": "was",
    "this": "this",
    "its": "its",
    "does": "does",
    "gas": "gas",
    "news": "news",
    "yes": "yes",
    "cities": "city",
    "movies": "movie",
    "cookies": "cookie",
    "purchases": "purchase",
    "houses": "house",
    "warehouses": "warehouse",
    "databases": "database",
    "cases": "case",
    "bases": "base",
    "phases": "phase",
    "courses": "course",
    "nurses": "nurse",
    "horses": "horse",
    "responses": "response",
    "releases": "release",
    "leases": "lease",
    "expenses": "expense",
    "diagnoses": "diagnosis",
    "analyses": "analysis",
    "indices": "index",
}
_ENDINGS = (
    ("ies", "y", 5),
    ("sses", "ss", 5),
    ("uses", "us", 6),
    ("xes", "x", 4),
    ("ches", "ch", 5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of a message. `lemma` is the lower-case singular of a word, the name of a mark, the text of the rest."""

    kind: TokenKind
    text: str
    lemma: str
    argument: str = ""


def listed(words: str) -> tuple[str, ...]:
    """The words of a text, for lists that are easier to read as one."""
    return tuple(words.split())


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "ø": "oe", "å": "aa"})


def fold(word: str) -> str:
    """Umlauts as two letters, accents away: `Bücher` and `Buecher` are one word, as are `Café` and `Cafe`."""
    if word.isascii():
        return word
    plain = unicodedata.normalize("NFC", word).casefold().translate(_UMLAUTS)
    bare = unicodedata.normalize("NFD", plain)
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


@lru_cache(maxsize=20_000)
def singular(word: str) -> str:
    """The lower-case singular; wrong now and then, but equally wrong for names and for questions."""
    word = fold(word.casefold().removesuffix("'s"))
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, replacement, shortest in _ENDINGS:
        if word.endswith(ending) and len(word) >= shortest:
            return word[: -len(ending)] + replacement
    if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=20_000)
def name_words(name: str) -> tuple[str, ...]:
    """`order_items`, `OrderItems` and `Order Items` are all (`order`, `item`)."""
    return tuple(singular(part) for part in _PARTS.findall(_CAMEL.sub(" ", name)))


def name_parts(name: str) -> tuple[str, ...]:
    """The words of a name as they are spelt."""
    return tuple(_PARTS.findall(_CAMEL.sub(" ", name)))


def readable(name: str) -> str:
    """A name as prose: `order_items` is `order items`."""
    return " ".join(part.lower() for part in _PARTS.findall(_CAMEL.sub(" ", name))) or name


def plural(word: str) -> str:
    """The plural of the last word, good enough for a sentence."""
    if singular(word.rsplit(" ", maxsplit=1)[-1]) != word.rsplit(" ", maxsplit=1)[-1].casefold():
        return word
    if word.endswith("y") and not word.endswith(("ay", "ey", "oy", "uy")):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"


def tokens(text: str) -> tuple[Token, ...]:
    """Cut rewritten text into tokens; what is punctuation is dropped."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        found.extend(_token(match))
    return tuple(found)


def _token(match: re.Match[str]) -> tuple[Token, ...]:
    groups = match.groupdict()
    text = match.group()
    if groups["mark"]:
        return (
            Token(kind="mark", text=text, lemma=groups["mark"], argument=groups["argument"] or ""),
        )
    quoted = groups["double"] or groups["single"] or groups["tick"] or groups["curly"]
    if quoted:
        return (Token(kind="quoted", text=quoted, lemma=quoted.casefold()),)
    if groups["hyphened"] or groups["code"]:
        return (Token(kind="quoted", text=text, lemma=text.casefold(), argument="hyphened"),)
    if groups["date"]:
        return (Token(kind="date", text=text, lemma=text),)
    if groups["number"]:
        return (Token(kind="number", text=text, lemma=number_text(text)),)
    if groups["operator"]:
        return (Token(kind="operator", text=text, lemma=text),)
    return tuple(
        Token(kind="word", text=part, lemma=singular(part))
        for part in _word_parts(text)
        if part != "_"
    )


def _word_parts(text: str) -> list[str]:
    """An identifier typed as one word is its parts; an apostrophe belongs to its word."""
    return re.findall(r"[^\W_]+(?:'\w+)?", _CAMEL.sub(" ", text))


def number_text(text: str) -> str:
    """`1,200` is `1200`, `2.5k` is `2500`."""
    plain = text.replace(",", "")
    scale = {"k": 1_000, "m": 1_000_000}.get(plain[-1].lower())
    if scale is None:
        return plain
    value = float(plain[:-1]) * scale
    return str(int(value)) if value.is_integer() else str(value)


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that `word` is probably a misspelling of: at most one slip, two in long words.

    The first letter must be right, and there must be no second word as near.
    """
    if len(word) < 4:
        return None
    bound = 2 if len(word) >= 8 else 1
    same = [other for other in known if other[:1] == word[:1] and len(other) >= 5]
    hits = process.extract(word, same, scorer=OSA.distance, score_cutoff=bound, limit=2)
    if not hits or (len(hits) > 1 and hits[0][1] == hits[1][1]):
        return None
    return hits[0][0]
