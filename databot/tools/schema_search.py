"""Finding tables by words in a large catalog, forgiving about spelling.

Each word of the query is compared with the words of a table's name, of its columns and of its comment; a table's score
is the mean over the words, so a table that answers all of them wins. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from databot.connectors.base import TableInfo
from databot.tools.schema_document import Catalog
from databot.types.errors import shorten

CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
WORD = re.compile(r"[^\W_]+")
GOOD = 70.0
"""Scores are 0 to 100; below this a table is not shown."""
TABLE_WEIGHT, COLUMN_WEIGHT, COMMENT_WEIGHT = 1.0, 0.9, 0.8
MAX_TABLES = 30


def words_of(text: str) -> tuple[str, ...]:
    """The words of `snake_case`, `camelCase` and plain text, lower case."""
    return tuple(word.lower() for word in WORD.findall(CAMEL.sub(" ", text)))


def matching(catalogs: Sequence[Catalog], query: str) -> tuple[list[Catalog], list[str]]:
    """The catalogs with only the tables that match, best first, and what is to be said about it."""
    wanted = tuple(dict.fromkeys(words_of(query)))[:20]
    if not wanted:
        return list(catalogs), []
    ranked = sorted(
        ((_score(info, wanted), catalog, info) for catalog in catalogs for info in catalog.tables),
        key=lambda item: -item[0],
    )
    good = [item for item in ranked if item[0] >= GOOD][:MAX_TABLES]
    chosen = good or ranked[:3]
    kept = [
        replace(catalog, tables=tuple(info for _, owner, info in chosen if owner is catalog))
        for catalog in catalogs
    ]
    said = (
        f"Matches of {shorten(query)!r}, best first."
        if good
        else f"Nothing matches {shorten(query)!r} well; these are the nearest."
    )
    return [catalog for catalog in kept if catalog.tables], [said]


def _score(info: TableInfo, wanted: Sequence[str]) -> float:
    pools = (
        (TABLE_WEIGHT, words_of(info.table.name)),
        (COLUMN_WEIGHT, tuple(word for column in info.columns for word in words_of(column.name))),
        (COMMENT_WEIGHT, words_of(info.table.comment)),
    )
    best = [
        max(
            (weight * _likeness(word, other) for weight, pool in pools for other in pool),
            default=0.0,
        )
        for word in wanted
    ]
    return sum(best) / len(best)


@lru_cache(maxsize=20_000)
def _likeness(word: str, other: str) -> float:
    """0 to 100. Singular and plural count as the same word."""
    from rapidfuzz import fuzz

    if word.rstrip("s") == other.rstrip("s"):
        return 100.0
    return fuzz.ratio(word, other)
