"""Kinds of columns: what can be done with a column, judged by its type and its name alone."""

import re
from functools import lru_cache
from typing import Literal

from databot.providers.offline.words import name_words

ColumnKind = Literal["number", "text", "time", "bool", "other"]
Stored = Literal["", "text", "seconds", "milliseconds"]
"""How numbers and times are kept where the type does not say: numbers as text, times as text or since 1970."""

_NUMBER = re.compile(r"int|num|dec|real|doub|float|money|serial|long|short|byte$", re.IGNORECASE)
_TIME = re.compile(r"date|time", re.IGNORECASE)
_TEXT = re.compile(r"char|text|string|clob|enum|^$|citext|uuid|name", re.IGNORECASE)
_BLIND = re.compile(
    r"blob|bytea|binary|json|array|\[\]|struct|map|geo|interval|vector", re.IGNORECASE
)
TIME_WORDS = {
    "date",
    "datetime",
    "timestamp",
    "time",
    "at",
    "on",
    "day",
    "ts",
    "dt",
    "dttm",
    "dtm",
    "dob",
}
_FLAGS = {
    "active",
    "enabled",
    "disabled",
    "deleted",
    "archived",
    "verified",
    "approved",
    "published",
    "insured",
    "visible",
    "paid",
    "valid",
    "blocked",
}
"""Whole numbers of these names are yes or no, where an engine has no type for that."""


def is_textual(type_name: str) -> bool:
    """Declared as text, or as nothing at all."""
    other = _TIME.search(type_name) or _NUMBER.search(type_name) or _BLIND.search(type_name)
    return not other and "bool" not in type_name.lower()


@lru_cache(maxsize=4_096)
def kind_of(name: str, type_name: str) -> ColumnKind:
    """What can be done with a column of this name and type.

    A text column called `created_at` is a time: SQLite has no type for them.
    """
    words = name_words(name)
    last = words[-1] if words else ""
    timely = last in TIME_WORDS
    if _BLIND.search(type_name):
        return "other"
    if "bool" in type_name.lower() or (
        words[:1] in {("is",), ("has",)} and len(words) > 1 and _NUMBER.search(type_name)
    ):
        return "bool"
    if last in _FLAGS and re.search(r"int|bit", type_name, re.IGNORECASE):
        return "bool"
    if _TIME.search(type_name):
        return "time"
    if _NUMBER.search(type_name):
        return "number"
    if timely and _TEXT.search(type_name):
        return "time"
    return "text"
