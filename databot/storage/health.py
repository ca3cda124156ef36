"""Whether the store takes writes: asked by writing, since a full or read-only disk still answers every read."""

from sqlalchemy import update

from databot.storage.database import Database
from databot.storage.migrate import HEAD
from databot.storage.tables import schema_version

TOUCH = update(schema_version).values(version_num=schema_version.c.version_num)


class DatabaseCheck:
    """Writes one row as it was."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touch = database.prepare(TOUCH)

    async def __call__(self) -> str:
        """Where the store is, without secrets.

        Raises:
            StorageError: it takes no writes now.
        """
        await self._database.write(((self._touch, {}),))
        return f"{self._database.where}, schema {HEAD}"
