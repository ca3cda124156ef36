"""Choice: which of several databases a message is about, and what to search a large catalog for."""

import re
from collections.abc import Sequence

from databot.providers.offline.catalog import Database
from databot.providers.offline.lexicon import HARD, NEUTRAL, SYNONYMS
from databot.providers.offline.names import index
from databot.providers.offline.phrases import clean, rewrite
from databot.providers.offline.times import find_periods
from databot.providers.offline.words import name_words, tokens

MAX_SEARCH_WORDS = 8


def choose(text: str, known: Sequence[Database], previous: str) -> Database:
    """The database named, else the one whose names the message uses most; ties go to the last one talked of.

    `previous` is the connector of that one, or empty.
    """
    if len(known) == 1:
        return known[0]
    lower = text.casefold()
    for database in known:
        name = re.escape(database.connector.casefold())
        if re.search(
            rf"\b(?:ask|in|from|on|using|use|at|of)\s+(?:the\s+)?{name}\b|@{name}\b", lower
        ):
            return database
    words = _words(text)
    scores = [_score(words, database) for database in known]
    best = max(scores)
    equal = [one for one, score in zip(known, scores, strict=True) if score == best]
    return next((one for one in equal if one.connector == previous), equal[0])


def without_connector(text: str, database: Database) -> str:
    """The message without the words that only named the database."""
    name = re.escape(database.connector)
    pattern = rf"\b(?:(?:ask|in|from|on|using|use|at|of)\s+(?:the\s+)?){name}(?:\s+(?:database|db))?\b[,:]?|@{name}\b"
    return re.sub(pattern, " ", text, flags=re.IGNORECASE)


def _score(words: Sequence[str], database: Database) -> float:
    names = index(database)
    tables = set(names.tables)
    return sum(2.0 if word in tables else 1.0 if names.named([word]) else 0.0 for word in words)


def _words(text: str) -> list[str]:
    found = tokens(rewrite(find_periods(clean(text))[0]))
    return [token.lemma for token in found if token.kind == "word" and token.lemma not in HARD]


def telling_words(text: str) -> list[str]:
    """The words that say what a message is about."""
    return [word for word in _words(text) if word not in NEUTRAL or word == "order"]


def search_words(text: str) -> str:
    """The telling words of a message, with synonyms, for the search of a catalog."""
    words = telling_words(text)
    quoted = [t.text for t in tokens(clean(text)) if t.kind == "quoted"]
    widened = [word for name in words for word in (name, *SYNONYMS.get(name, ())[:1])]
    whole = [*quoted, *(part for word in widened for part in name_words(word))]
    return " ".join(list(dict.fromkeys(whole))[:MAX_SEARCH_WORDS])
