"""Dumps databot's tables from PostgreSQL with the server's own `pg_dump`, at one instant.

A transaction of ours counts the rows and lends `pg_dump` its snapshot, so that what is counted is what is dumped. The
login goes to it through the environment, never through its arguments, which every user of a machine can read.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from databot.storage.backup_contents import FILES, TABLES, UNFINISHED, DatabaseCopy, sizes
from databot.storage.postgres.address import RULES, Address
from databot.types.errors import ConfigError, MissingExtra, StorageError
from databot.types.server_url import read_server_url

if TYPE_CHECKING:
    from asyncpg import Connection

CONNECT_TIMEOUT_S = 10
CHUNK = 1_048_576
SYNC_EVERY = 8 * CHUNK
LONGEST_REASON = 300
HAVE = """SELECT tablename FROM pg_catalog.pg_tables
          WHERE schemaname = current_schema() AND tablename = ANY($1::text[])"""
VERSION_TABLE = "alembic_version"
OPTIONS = ("--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=30000")
TLS_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
}


async def dump(url: str, address: Address, target: Path) -> DatabaseCopy:
    """Dump our tables into `target`, and see that all of them are in it.

    Raises what `copy_database` raises.
    """
    pg_dump, pg_restore = program("pg_dump"), program("pg_restore")
    async with (
        connected(address) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        tables = [str(row[0]) for row in await connection.fetch(HAVE, [*TABLES, VERSION_TABLE])]
        if VERSION_TABLE not in tables:
            raise ConfigError(
                f"there is nothing in the database {address}",
                hint="name the configuration of the databot that is meant with --config",
            )
        copy = await counted(connection, address, target, tables)
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        wanted = [f'--table="{copy.place}"."{name}"' for name in tables]
        command = [pg_dump, *OPTIONS, f"--snapshot={snapshot}", *wanted]
        await run(command, environment(url, address), target)
    await verify(pg_restore, target, tables)
    return copy


def program(name: str) -> str:
    """Where a program of PostgreSQL's client is. Raises `ConfigError`."""
    found = shutil.which(name)
    if found is None:
        raise ConfigError(
            f"{name} is not installed, and a backup of PostgreSQL is made with it",
            hint="install PostgreSQL's client (postgresql-client), of the server's version or newer",
        )
    return found


@asynccontextmanager
async def connected(address: Address) -> "AsyncGenerator[Connection]":
    """One connection, closed at the end; what the server says is told as the store tells it."""
    try:
        import asyncpg
    except ImportError as error:
        raise MissingExtra("storage in PostgreSQL", extra="postgres") from error
    from databot.storage.postgres.errors import translate, translate_at_open

    failures = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)
    try:
        connection = await asyncpg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            database=address.database,
            ssl=address.ssl,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"search_path": address.search_path} if address.search_path else None,
        )
    except failures as error:
        raise translate_at_open(error, address) from error
    lost = (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)
    try:
        yield connection
    except lost as error:
        raise translate(error, address) from error
    finally:
        with suppress(*failures, TimeoutError):
            await connection.close(timeout=CONNECT_TIMEOUT_S)


async def counted(
    connection: "Connection", address: Address, target: Path, tables: list[str]
) -> DatabaseCopy:
    """What the dump will hold, as this transaction sees it."""
    return DatabaseCopy(
        file=target,
        where=f"PostgreSQL {address}",
        schema=str(await connection.fetchval(f'SELECT version_num FROM "{VERSION_TABLE}"')),  # noqa: S608 - a name of ours
        rows={
            name: await count(connection, query) for name, query in TABLES.items() if name in tables
        },
        unfinished=await count(connection, UNFINISHED),
        artifacts=sizes(await connection.fetch(FILES)),
        place=str(await connection.fetchval("SELECT current_schema()")),
    )


async def count(connection: "Connection", query: str) -> int:
    return int((await connection.fetch(query))[0][0])


def environment(url: str, address: Address) -> dict[str, str]:
    """Our environment with the login and the encryption of `url`."""
    options = read_server_url(url, RULES).options
    told = {TLS_VARIABLES[name]: value for name, value in options.items() if name in TLS_VARIABLES}
    login = {
        "PGHOST": address.host,
        "PGPORT": str(address.port),
        "PGDATABASE": address.database,
        "PGUSER": address.user,
        "PGPASSWORD": address.password,
    }
    given = {name: value for name, value in login.items() if value}
    return {**os.environ, "LC_ALL": "C", **given, **told}


async def run(command: list[str], env: Mapping[str, str], target: Path) -> None:
    """Run `pg_dump` and write what it says into a file on the disk; ended should we be.

    It writes to a pipe, so that it ends when this process is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said, _ = await asyncio.gather(process.stderr.read(), keep(process.stdout, target))
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status:
        raise StorageError(f"pg_dump failed: {reason(said)}", hint="nothing was kept of it")


async def keep(stream: asyncio.StreamReader, target: Path) -> None:
    """Write a stream into a new private file, going to the disk every few megabytes."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        waiting = 0
        while chunk := await stream.read(CHUNK):
            file.write(chunk)
            waiting += len(chunk)
            if waiting >= SYNC_EVERY:
                os.fdatasync(descriptor)
                waiting = 0
        os.fsync(descriptor)


async def verify(pg_restore: str, target: Path, tables: list[str]) -> None:
    """Ask `pg_restore` what is in the dump. Raises `StorageError` where a table's rows are not."""
    process = await asyncio.create_subprocess_exec(
        pg_restore,
        "--list",
        str(target),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    listed, said = await process.communicate()
    lines = listed.decode(errors="replace").splitlines()
    held = {line.split()[-2] for line in lines if " TABLE DATA " in line}
    missing = sorted(set(tables) - held)
    if process.returncode or missing:
        what = reason(said) if process.returncode else f"{missing[0]} is not in it"
        raise StorageError(f"the dump is not whole: {what}", hint="nothing was kept of it")


def reason(said: bytes) -> str:
    """The first line a program of PostgreSQL wrote, without its own name."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    first = lines[0] if lines else "it gave no reason"
    return first.partition(": error: ")[2][:LONGEST_REASON] or first[:LONGEST_REASON]
