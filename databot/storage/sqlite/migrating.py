"""Brings an SQLite file's tables up to date, in one transaction."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from databot.storage.migrate import HEAD, pending, script_between
from databot.storage.sqlite.files import OwnerLock

CURRENT = "SELECT version_num FROM alembic_version"
HAS_VERSION = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"


def migrate(connection: sqlite3.Connection, path: Path, lock: OwnerLock | None) -> None:
    """Run what is missing. `lock` is taken shared meanwhile: no daemon may be using the old tables.

    Raises:
        ConfigError: the file was made by a newer databot, or a running daemon uses it with older tables.
        sqlite3.Error: a statement failed; nothing was changed.
    """
    if not pending(current(connection), path):
        return
    if lock:
        lock.take(shared=True)
    try:
        upgrade(connection, path)
    finally:
        if lock:
            lock.release()


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = current(connection)  # another process may have been faster
        if pending(found, path):
            for statement in statements(script_between(found, HEAD, "sqlite")):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:  # boundary: a half-done migration is undone, and the error goes on
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def current(connection: sqlite3.Connection) -> str | None:
    """The version of the tables; `None` for an empty file."""
    if not connection.execute(HAS_VERSION).fetchone():
        return None
    row = connection.execute(CURRENT).fetchone()
    return str(row[0]) if row else None


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one at a time: running it whole would commit half-way."""
    held = ""
    for line in script.splitlines(keepends=True):
        held += line
        if sqlite3.complete_statement(held):
            yield held
            held = ""
