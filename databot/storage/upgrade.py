"""Brings the tables of the store up to date now, instead of at the next start."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from databot.storage.migrate import HEAD
from databot.storage.open import open_database, place_of

if TYPE_CHECKING:
    from databot.storage.postgres.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """What was done: `before` is `None` where there were no tables."""

    where: str
    before: str | None
    after: str


async def upgrade(url: str) -> Upgraded:
    """Run the migrations that are missing.

    Raises:
        ConfigError: a running daemon uses the older tables, or a newer databot made them; what `open_store` raises.
        StorageUnavailable: the database cannot be reached, or is locked, full or read-only.
    """
    place = place_of(url)
    before = await found_at(place)
    database = await open_database(url, exclusive=False)
    await database.aclose()
    return Upgraded(where=database.where, before=before, after=HEAD)


async def found_at(place: "Path | Address") -> str | None:
    """The version of the tables as they are."""
    if isinstance(place, Path):
        import asyncio

        from databot.storage.backup_sqlite import version_of

        return await asyncio.to_thread(version_of, place)
    from databot.storage.backup_postgres import connected
    from databot.storage.postgres.migrating import current

    async with connected(place) as connection:
        return await current(connection)
