"""One SQLite connection, set up the way every part of the store needs it."""

import sqlite3
from pathlib import Path

from databot.types.errors import ConfigError

BUSY_TIMEOUT_S = 5.0
OLDEST = (3, 35, 0)
"""The first version with RETURNING; some distributions' Python still comes with an older one."""
SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # an acknowledged message survives a power cut
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -8000",
    "PRAGMA temp_store = MEMORY",
)


def require_version(found: tuple[int, ...]) -> None:
    """Refuse a library too old for the statements.

    Raises:
        ConfigError: it is.
    """
    if found < OLDEST:
        raise ConfigError(
            f"this Python comes with SQLite {'.'.join(map(str, found))}; "
            f"{'.'.join(map(str, OLDEST))} or newer is needed",
            hint="use a newer Python build, or postgresql+asyncpg://… for storage.url",
        )


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file; transactions are begun and ended by hand, and any one thread at a time may use it.

    Raises:
        sqlite3.Error: it cannot be opened, or is not a database.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        for setting in SETTINGS:
            connection.execute(setting)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except BaseException:  # boundary: a half-open connection is closed, and the error goes on
        connection.close()
        raise
    return connection
