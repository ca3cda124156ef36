"""A consistent copy of the database, made while daemons work on it.

What a copy holds is one instant of the database: everything acknowledged before it, nothing after it. Files beside the
database and the place the copy goes to are not here (`databot.app.backup`, `backup_place`).
"""

from pathlib import Path

from databot.storage.backup_contents import DatabaseCopy
from databot.storage.open import place_of


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
