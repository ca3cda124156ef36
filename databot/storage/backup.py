"""A consistent copy of the database, made while daemons work on it.

What a copy holds is one instant of the database: everything acknowledged before it, nothing after it. Files beside the
database and the place the copy goes to are not here (`databot.app.backup`, `backup_place`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from databot.storage.open import place_of
from databot.storage.tables import artifact, inbox, metadata

TABLES = {name: str(select(func.count()).select_from(t)) for name, t in metadata.tables.items()}
"""How the rows of each table are counted, in the spelling both databases share."""
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


def copy_database(url: str, folder: Path) -> DatabaseCopy:
    """Copy the database at `url` into `folder`, on the disk and verified when this returns.

    Blocks for as long as it takes; other processes read and write meanwhile.

    Raises:
        ConfigError: there is no such database, it was never used, or its client's `pg_dump` is missing.
        StorageError: it cannot be read or is damaged; `StorageUnavailable` where trying again may help, or space is
            missing.
    """
    place = place_of(url)
    if isinstance(place, Path):
        from databot.storage.backup_sqlite import copy_file

        return copy_file(place, folder / "databot.db")
    import asyncio

    from databot.storage.backup_postgres import dump

    return asyncio.run(dump(url, place, folder / "databot.pgdump"))


def sizes(rows: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Rows of `FILES` as a mapping."""
    return {str(row[0]): int(row[1]) for row in rows}
