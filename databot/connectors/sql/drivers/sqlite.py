"""SQLite through the standard library, one short-lived connection a statement, in a thread.

Read-only three times over: the file is opened `mode=ro`, an authorizer allows nothing but reading (no ATTACH, no PRAGMA
that sets, no extension), and sizes are limited. A file that is not there is an error, never a new file.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from databot.connectors.base import QueryLimits, TableInfo
from databot.connectors.sql.address import check_options
from databot.connectors.sql.catalog_rows import tables_of
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.problems import problem
from databot.connectors.sql.workers import Workers
from databot.types.errors import ConnectorError

T = TypeVar("T")
BUSY_TIMEOUT_S = 5.0
STEPS_BETWEEN_LOOKS = 5000
LARGEST_VALUE = 64 * 1024 * 1024
READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
READING_PRAGMAS = frozenset(
    {
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "data_version",  # full-text search asks for it while reading
    }
)
REFUSED_FUNCTIONS = frozenset({"load_extension", "writefile", "readfile", "edit", "fts3_tokenizer"})

CATALOG = """
SELECT '' AS schema_name, m.name, m.type,
  '' AS comment, NULL AS row_estimate,
  (SELECT json_group_array(json_array(c.name, c.type, json(iif(c."notnull", 'false', 'true')), json(iif(c.pk, 'true', 'false')), ''))
     FROM pragma_table_xinfo(m.name) c WHERE c.hidden IN (0, 2, 3)) AS columns,
  (SELECT json_group_array(json_array(k.id, k."from", '', k."table", k."to"))
     FROM pragma_foreign_key_list(m.name) k) AS keys
FROM sqlite_master m
WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY m.name
"""


class SqliteJob:
    """One statement's connection, stoppable from another thread at any time, before it began included."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def stopped(self) -> bool:
        """What the progress handler asks; true ends the statement."""
        return self._stopped.is_set()


class SqliteDriver(Driver):
    """A SQLite file."""

    explain_prefix: ClassVar[str] = "EXPLAIN QUERY PLAN "

    def __init__(self, target: Target) -> None:
        check_options(target.address, ())
        self.dialect = "sqlite"
        self._target = target
        self._path = Path(target.address.database)
        self._workers = Workers(target)

    async def run(self, statement: str, limits: QueryLimits, label: str) -> Rows:  # noqa: ARG002 - a file has nobody to tell
        def read(connection: sqlite3.Connection) -> Rows:
            return fetch(connection, statement, limits)

        return await self._submit(read, limits.timeout_s)

    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        def read(connection: sqlite3.Connection) -> Sequence[TableInfo]:
            return tables_of(connection.execute(CATALOG))

        return await self._submit(read, timeout_s)

    async def ping(self, timeout_s: float) -> Pong:
        def read(connection: sqlite3.Connection) -> Pong:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return Pong(version=f"SQLite {sqlite3.sqlite_version}")

        return await self._submit(read, timeout_s)

    async def aclose(self) -> None:
        await self._workers.aclose()

    async def _submit(self, read: Callable[[sqlite3.Connection], T], timeout_s: float) -> T:
        job = SqliteJob()

        def work() -> T:
            try:
                with closing(self._connect(job)) as connection:
                    return read(connection)
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise translate(self._target, error) from error

        return await self._workers.run(work, job, timeout_s)

    def _connect(self, job: SqliteJob) -> sqlite3.Connection:
        if not self._path.is_file():
            raise problem(
                self._target,
                f"there is no file {self._path}",
                "not_found",
                hint="the path is relative to the working directory; four slashes begin an absolute one",
            )
        mode = "ro" if self._target.read_only else "rw"
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        harden(connection, job)
        return connection


def harden(connection: sqlite3.Connection, job: SqliteJob) -> None:
    """Allow reading and nothing else, bound what one value may take, and listen for `job.stop()`."""
    connection.text_factory = lenient_text
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(authorize)
    connection.set_progress_handler(job.stopped, STEPS_BETWEEN_LOOKS)


def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """SQLite's question for every action of a statement, answered before it runs."""
    if action == sqlite3.SQLITE_FUNCTION:
        refused = (second or "").lower() in REFUSED_FUNCTIONS
    elif action == sqlite3.SQLITE_PRAGMA:
        refused = (first or "").lower() not in READING_PRAGMAS
    elif action == sqlite3.SQLITE_UPDATE:
        # Reading through a virtual table (json_each, pragma_table_info, full text) declares its columns this way;
        # a real update of the catalog is refused by SQLite itself.
        refused = first not in ("sqlite_master", "sqlite_schema")
    else:
        refused = action not in READING
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK


def lenient_text(data: bytes) -> str:
    """SQLite stores any bytes as text; what is not UTF-8 is shown as such, not an error."""
    return data.decode("utf-8", "replace")


def fetch(connection: sqlite3.Connection, statement: str, limits: QueryLimits) -> Rows:
    from databot.connectors.sql.arrow import Intake

    cursor = connection.execute(statement)
    intake = Intake([column[0] for column in cursor.description or ()], limits)
    while wanted := intake.wanted:
        rows: list[tuple[Any, ...]] = cursor.fetchmany(wanted)
        intake.add_rows(rows)
        if len(rows) < wanted:
            break
    return intake.finish()


def translate(target: Target, error: Exception) -> ConnectorError:
    text = str(error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return problem(
            target,
            f"{target.address.place} is not a SQLite database, or is damaged: {text}",
            "unavailable",
            hint="check the path; `PRAGMA integrity_check` in the sqlite3 shell tells more",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return problem(target, f"the file is locked: {text}", "unavailable", retryable=True)
    if code == sqlite3.SQLITE_CANTOPEN:
        return problem(target, f"cannot open {target.address.place}: {text}", "unavailable")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH) or "not authorized" in text:
        return problem(target, f"only reading is allowed here: {text}", "read_only")
    if code == sqlite3.SQLITE_INTERRUPT:
        return problem(target, "the query was stopped", "cancelled")
    if code == sqlite3.SQLITE_TOOBIG:
        return problem(target, f"a value is over {LARGEST_VALUE} bytes", "too_large")
    return problem(target, text, "bad_request")
