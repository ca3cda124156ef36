"""Specialists: who they are, what they may use and what marks a question as theirs.

A specialist is a value; the composition root gives each its own loop with only its tools. A specialist is active when
one of the tools it `needs` exists.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

EVERYTHING = "*"
"""In `tools`: every tool there is."""


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
        """How many of its marks stand in the text."""
        return sum(
            1 for mark in self.marks if re.search(rf"\b(?:{mark})\b", text, flags=re.IGNORECASE)
        )
