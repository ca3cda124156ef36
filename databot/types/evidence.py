"""What an answer rests on: queries that were run, passages that were read, files that were made.

All of it is attached by code. A model can neither write nor change it.
"""

from dataclasses import dataclass
from typing import Any, Literal

Purpose = Literal["answer", "lookup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One look at a data system: what ran there, when, and how much came back.

    `statement` is the SQL (or operation) as executed; `as_of` the ISO-8601 UTC time of the look; `sample` the first
    few rows as JSON values, for the number check and for people; `artifact_id` the full result where it was kept. A
    `lookup` only prepared another look: how a name is spelled, which values there are.
    """

    connector: str
    statement: str
    rows: int
    truncated: bool
    elapsed_ms: float
    as_of: str
    columns: tuple[str, ...] = ()
    sample: tuple[tuple[Any, ...], ...] = ()
    artifact_id: str | None = None
    purpose: Purpose = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A passage an answer may cite, and of a whole reply one it does: `marker` is what the prose calls it, e.g. `[1]`."""

    marker: str
    title: str
    source: str
    quote: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """A kept file (full result, chart, export) by its handle."""

    id: str
    name: str
    media_type: str
    size: int
