"""What is counted in a copy of the database, and how that is asked: in the spelling both databases share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from databot.storage.tables import artifact, inbox, metadata

TABLES = {name: str(select(func.count()).select_from(t)) for name, t in metadata.tables.items()}
UNFINISHED = str(select(func.count()).select_from(inbox).where(inbox.c.ended_at.is_(None)))
FILES = str(select(artifact.c.id, artifact.c.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCopy:
    """What was copied, counted in the database at the instant of the copy. `artifacts` are the sizes of kept files."""

    file: Path
    where: str
    schema: str
    rows: Mapping[str, int]
    unfinished: int
    artifacts: Mapping[str, int]
    place: str = ""
    """The PostgreSQL schema the tables are in; empty for SQLite."""


def sizes(rows: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Rows of `FILES` as a mapping."""
    return {str(row[0]): int(row[1]) for row in rows}
