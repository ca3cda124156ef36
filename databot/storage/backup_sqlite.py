"""Copies an SQLite file that others write to, through SQLite's own backup.

The source is read in one transaction that is held from the first page to the last. Without it SQLite would begin anew
after every write of another process, and beside a busy daemon never end. In WAL mode such a reader holds nobody up; only
the WAL file grows until it is done.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from databot.storage.backup import FILES, TABLES, UNFINISHED, DatabaseCopy, sizes
from databot.storage.sqlite.connection import BUSY_TIMEOUT_S
from databot.storage.sqlite.errors import translate
from databot.storage.sqlite.migrating import current
from databot.types.errors import ConfigError, StorageError

STEP_PAGES = 1_000
"""4 MB: after each the copy goes to the disk, so that the daemon's own commits never wait behind all of it."""
TABLE_NAMES = "SELECT name FROM sqlite_master WHERE type = 'table'"
OF_THE_COPY = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
"""Trouble that the writing side has: a full disk is the backup's, not the database's."""


def copy_file(source: Path, target: Path) -> DatabaseCopy:
    """Copy the database, and hold the copy against what was counted in the original.

    Raises what `copy_database` raises.
    """
    with reading(source) as connection, at_one_instant(connection, source):
        schema = current(connection)
        if schema is None:
            raise nothing_in(source)
        rows = counted(connection)
        unfinished = int(connection.execute(UNFINISHED).fetchone()[0])
        artifacts = sizes(connection.execute(FILES).fetchall())
        copy_pages(connection, source, target)
    verify(target, rows)
    return DatabaseCopy(
        file=target,
        where=f"SQLite {source}",
        schema=schema,
        rows=rows,
        unfinished=unfinished,
        artifacts=artifacts,
    )


def version_of(path: Path) -> str | None:
    """The version of a file's tables; `None` where there is no file or no table."""
    if not path.is_file():
        return None
    with reading(path) as connection:
        try:
            return current(connection)
        except sqlite3.Error as error:
            raise translate(error, path) from error


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """The file, open and never written to by us. Raises `ConfigError` and `StorageError`."""
    if not path.is_file():
        raise nothing_in(path)
    try:
        # `rw` lets it read a WAL nobody has open; unlike the default it makes no new file.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error
    with closing(connection):
        yield connection


@contextmanager
def at_one_instant(connection: sqlite3.Connection, path: Path) -> Generator[None]:
    """Everything read inside is of the same instant. SQLite's errors are told as databot's."""
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        connection.execute(TABLE_NAMES).fetchone()  # a transaction begins with its first look
        yield
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise translate(error, path) from error


def counted(connection: sqlite3.Connection) -> dict[str, int]:
    """The rows of our tables; an older schema has fewer."""
    there = {str(row[0]) for row in connection.execute(TABLE_NAMES)}
    return {
        name: int(connection.execute(count).fetchone()[0])
        for name, count in TABLES.items()
        if name in there
    }


def copy_pages(connection: sqlite3.Connection, source: Path, target: Path) -> None:
    """Copy in small steps, each on the disk before the next."""
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            # A copy that is not finished is thrown away: it needs no journal.
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("PRAGMA synchronous = OFF")
            connection.backup(copy, pages=STEP_PAGES, progress=lambda *_: os.fdatasync(descriptor))
        os.fsync(descriptor)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", "")
        raise translate(error, target if code.startswith(OF_THE_COPY) else source) from error
    finally:
        os.close(descriptor)


def verify(copy: Path, rows: dict[str, int]) -> None:
    """Read the copy from its first page to its last.

    Raises:
        StorageError: it is damaged, or not what was counted.
    """
    try:
        # `immutable`: no WAL is made beside it; what is written there is all there is.
        opened = sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)
        with closing(opened) as connection:
            found = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            same = found == "ok" and counted(connection) == rows
    except sqlite3.DatabaseError as error:
        found, same = str(error), False
    if not same:
        raise StorageError(
            f"the copy is not whole ({found if found != 'ok' else 'rows are missing'}), and was thrown away",
            hint="the database itself may be damaged: keep the last good backup, and look at the disk",
        )


def nothing_in(path: Path) -> ConfigError:
    return ConfigError(
        f"there is nothing in the database {path}",
        hint="name the configuration of the databot that is meant with --config",
    )
