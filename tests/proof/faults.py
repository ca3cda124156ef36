"""One statement of a run fails, once, with what the driver says then."""

import sqlite3
from collections.abc import Callable, Mapping
from threading import Lock

import asyncpg

Fault = Callable[[], Exception]
AFTER = " after it"
"""So ends the name of a fault of which nobody knows whether the statement was run: it was."""


def sqlite_error(name: str, text: str) -> Fault:
    def make() -> Exception:
        error = sqlite3.OperationalError(text)
        error.sqlite_errorname = name
        return error

    return make


SQLITE: Mapping[str, Fault] = {
    "locked": sqlite_error("SQLITE_BUSY", "database is locked"),
    "disk full": sqlite_error("SQLITE_FULL", "database or disk is full"),
    "I/O error": sqlite_error("SQLITE_IOERR_FSYNC", "disk I/O error"),
}
POSTGRES: Mapping[str, Fault] = {
    "locked": lambda: asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    "disk full": lambda: asyncpg.DiskFullError("could not extend file: No space left on device"),
    "I/O error": lambda: asyncpg.PostgresIOError("could not read block: Input/output error"),
    "deadlock": lambda: asyncpg.DeadlockDetectedError("deadlock detected"),
    "connection reset": lambda: asyncpg.ConnectionDoesNotExistError(
        "connection was closed in the middle of operation"
    ),
    "connection reset after it": lambda: asyncpg.ConnectionDoesNotExistError(
        "connection was closed in the middle of operation"
    ),
}


class Faulty:
    """A watcher that lets the statement numbered `at` fail; with 0 it only counts."""

    def __init__(self, at: int = 0, fault: str = "", *, postgres: bool = False) -> None:
        self.count = 0
        self._at = at
        self._make = (POSTGRES if postgres else SQLITE)[fault] if at else None
        self._is_after = fault.endswith(AFTER)
        self._due = False
        self._lock = Lock()
        self._resting = False
        self.struck = ""
        """The statement that failed; empty when it never came to that."""

    def rest(self) -> None:
        """From now on nothing is counted, and nothing fails."""
        self._resting = True

    def before(self, statement: str) -> None:
        with self._lock:
            if self._resting:
                return
            self.count += 1
            if self.count != self._at:
                return
            self.struck, self._due = statement, self._is_after
        if self._make is not None and not self._is_after:
            raise self._make()

    def after(self, statement: str) -> None:
        if self._due and statement == self.struck and self._make is not None:
            self._due = False
            raise self._make()
