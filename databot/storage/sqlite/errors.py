"""What SQLite says, as errors of databot: one line that names the file and what to do."""

import sqlite3
from pathlib import Path

from databot.types.errors import ConfigError, DatabotError, StorageError, StorageUnavailable

PASSING = {
    "SQLITE_BUSY": ("is locked by another program", "try again, or stop the other program"),
    "SQLITE_LOCKED": ("is locked by another program", "try again, or stop the other program"),
    "SQLITE_FULL": ("cannot grow: the disk is full", "free some space"),
    "SQLITE_READONLY": ("is read-only", "make the file and its folder writable"),
    "SQLITE_IOERR": ("cannot be read or written", "look at the disk and its free space"),
    "SQLITE_NOMEM": ("needs more memory than there is", "try again later"),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        "look at its folder, its permissions and the free space",
    ),
}
BROKEN = {
    "SQLITE_NOTADB": "is not an SQLite database",
    "SQLITE_CORRUPT": "is damaged",
}


def translate(error: BaseException, path: Path) -> DatabotError:
    """The error as databot tells it; anything that is not SQLite's is a plain `StorageError`."""
    if isinstance(error, DatabotError):
        return error
    name = getattr(error, "sqlite_errorname", "") if isinstance(error, sqlite3.Error) else ""
    code = "_".join(name.split("_")[:2])
    if code in PASSING:
        what, todo = PASSING[code]
        return StorageUnavailable(f"the database {path} {what}", hint=todo)
    if code in BROKEN:
        return StorageError(
            f"the database {path} {BROKEN[code]}",
            hint="restore it from a backup, or move it away to begin anew",
        )
    return StorageError(f"the database {path} refused a statement ({name or type(error).__name__})")


def translate_at_open(error: sqlite3.Error, path: Path) -> DatabotError:
    """The error while opening: a file that can never be used is a mistake of the configuration."""
    told = translate(error, path)
    if isinstance(told, StorageUnavailable):
        return told
    return ConfigError(told.message, hint=told.hint)
