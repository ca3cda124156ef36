"""Brings a PostgreSQL database's tables up to date, in one transaction, one process at a time."""

from typing import TYPE_CHECKING

from databot.storage.migrate import HEAD, pending, script_between

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.pool import PoolConnectionProxy

LOCK_NUMBER = 0x6461_7461_626F_74  # "databot"
# Asked of the catalog as a table: `to_regclass` may answer from before the lock was taken.
EXISTS = """SELECT count(*) FROM pg_catalog.pg_tables
            WHERE tablename = 'alembic_version' AND schemaname = current_schema()"""
CURRENT = "SELECT version_num FROM alembic_version"


async def migrate(connection: "Connection | PoolConnectionProxy", where: object) -> None:
    """Run what is missing.

    Raises:
        ConfigError: the database was made by a newer databot.
        asyncpg.PostgresError: a statement failed; nothing was changed.
    """
    if not pending(await current(connection), where):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_NUMBER)
        found = await current(connection)  # another process may have been faster
        if pending(found, where):
            await connection.execute(script_between(found, HEAD, "postgresql"))


async def current(connection: "Connection | PoolConnectionProxy") -> str | None:
    """The version of the tables; `None` where there are none."""
    if not await connection.fetchval(EXISTS):
        return None
    return await connection.fetchval(CURRENT)
