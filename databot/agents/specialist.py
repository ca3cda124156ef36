"""Specialists: who they are, what they may use and what marks a question as theirs.

A specialist is a value; the composition root gives each its own loop with only its tools. A specialist is active when
one of the tools it `needs` exists.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

EVERYTHING = "*"
"""In `tools`: every tool there is."""
LOOKED_AT = 4_000
"""So many characters of a message say whose it is; all of a pasted file would hold the event loop up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """One kind of expertise.

    `needs`: tools of which at least one must exist (empty: always active). `tools`: all it may call. `marks`: words
    and phrases (regular expressions, whole words, case-insensitive) that claim a question.
    """

    name: str
    description: str
    prompt: str
    tools: frozenset[str]
    needs: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    model: str | None = None

    def is_active(self, existing: Collection[str]) -> bool:
        """Whether it can do anything with the tools that exist."""
        return not self.needs or bool(self.needs & set(existing))

    def scope(self, existing: Collection[str]) -> frozenset[str]:
        """The existing tools it may use."""
        return frozenset(existing) if EVERYTHING in self.tools else self.tools & set(existing)

    def claims(self, text: str) -> int:
        """How many of its marks stand in the text's beginning."""
        beginning = text[:LOOKED_AT]
        return sum(1 for mark in self.marks if pattern(mark).search(beginning))


@lru_cache(maxsize=1_000)
def pattern(mark: str) -> re.Pattern[str]:
    """The mark as whole words, in any case; there are as many marks as specialists have."""
    return re.compile(rf"\b(?:{mark})\b", re.IGNORECASE)
