"""The tables of procrastinate, in a schema of their own that carries their version in its name.

An application's own procrastinate in the same database is not touched. Replicas of two databot versions, whose
procrastinates have different tables, each keep to their own schema: nothing has to be migrated, for everything in it is
a hint, and what one version's replicas do not hear of the sweeper finds. An old schema stays until somebody drops it.
"""

from functools import cache
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from databot.dispatch.procrastinate.address import short_hash

LOCK_NUMBER = 0x6461_7461_626F_75  # beside the one of storage
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"
TABLES = "SELECT to_regclass(%s) IS NOT NULL"
SCHEMA_EXISTS = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s)"


@cache
def versioned(schema: str) -> str:
    """The schema's full name for the tables of the installed procrastinate."""
    return f"{schema}_{short_hash(script())}"


@cache
def script() -> LiteralString:
    from procrastinate.schema import SchemaManager

    return SchemaManager.get_schema()


async def ensure_schema(connection: AsyncConnection[Any], name: str) -> None:
    """Make the schema and its tables where they are missing; one process does, others wait for it.

    Raises:
        psycopg.Error: a statement failed; nothing was changed.
    """
    if await has_tables(connection, name):
        return
    async with connection.transaction():
        await connection.execute(LOCK_TIMEOUT)
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_NUMBER,))
        if await has_tables(connection, name):
            return
        if not await is_true(
            connection, SCHEMA_EXISTS, name
        ):  # who may not make it can be given it
            await connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        await connection.execute(SQL("SET LOCAL search_path = {}").format(Identifier(name)))
        await connection.execute(script())


async def has_tables(connection: AsyncConnection[Any], name: str) -> bool:
    return await is_true(connection, TABLES, f'"{name}".procrastinate_jobs')


async def is_true(connection: AsyncConnection[Any], question: LiteralString, value: str) -> bool:
    row = await (await connection.execute(question, (value,))).fetchone()
    return bool(row and row[0])
