"""DuckDB in a thread, one short-lived connection a statement.

Opened per statement because a process that holds the file for writing shuts every reader out, and a reader shuts the
writer out. Read-only by `read_only=True`; the configuration is locked with no access to files, network or extensions.
"""

import re
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from databot.connectors.base import QueryLimits, TableInfo
from databot.connectors.sql.address import check_options
from databot.connectors.sql.catalog_rows import tables_of
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.problems import problem
from databot.connectors.sql.workers import Workers
from databot.types.errors import ConnectorError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

T = TypeVar("T")
LOCK_TRIES = 5
LOCK_PAUSE_S = 0.2
OPTIONS = {"memory_limit": "1GB", "threads": "4"}
"""What the URL may set, with its defaults."""
HARDENED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "max_temp_directory_size": "0B",
    "lock_configuration": "true",
}
SEVERAL = "exactly one statement can run at a time (DuckDB 1 makes several of a PIVOT whose values are not listed with IN)"

CATALOG = """
SELECT t.schema_name, t.name, t.kind, t.comment, t.estimated_size,
  (SELECT to_json(list([c.column_name, c.data_type, c.is_nullable::VARCHAR, coalesce(list_contains(p.constraint_column_names, c.column_name), false)::VARCHAR, coalesce(c.comment, '')]
          ORDER BY c.column_index)) FROM duckdb_columns() c
    WHERE c.table_oid = t.oid AND c.schema_name = t.schema_name AND c.database_name = t.database_name),
  (SELECT to_json(list({'source': f.constraint_column_names, 'table': f.referenced_table, 'target': f.referenced_column_names}
          ORDER BY f.constraint_index)) FROM duckdb_constraints() f
    WHERE f.table_oid = t.oid AND f.constraint_type = 'FOREIGN KEY' AND f.database_name = t.database_name)
FROM (
  SELECT database_name, schema_name, table_name AS name, 'table' AS kind, comment, estimated_size, table_oid AS oid
    FROM duckdb_tables() WHERE NOT internal AND NOT temporary
  UNION ALL
  SELECT database_name, schema_name, view_name, 'view', comment, NULL, view_oid
    FROM duckdb_views() WHERE NOT internal AND NOT temporary
) t
LEFT JOIN duckdb_constraints() p ON p.table_oid = t.oid AND p.constraint_type = 'PRIMARY KEY' AND p.database_name = t.database_name AND t.kind = 'table'
WHERE t.database_name = current_database() AND (len($schemas::VARCHAR[]) = 0 OR list_contains($schemas::VARCHAR[], t.schema_name))
ORDER BY t.schema_name, t.name
"""


class DuckdbJob:
    """One statement's connection, stoppable from another thread."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.connection: duckdb.DuckDBPyConnection | None = None

    def stop(self) -> None:
        self.stopped.set()
        if self.connection is not None:
            self.connection.interrupt()


class DuckdbDriver(Driver):
    """A DuckDB file."""

    def __init__(self, target: Target) -> None:
        check_options(target.address, tuple(OPTIONS))
        self.dialect = "duckdb"
        self.default_schema = "main"
        self._target = target
        self._path = Path(target.address.database)
        self._workers = Workers(target)

    async def run(self, statement: str, limits: QueryLimits, label: str) -> Rows:  # noqa: ARG002 - a file has nobody to tell
        def read(connection: "duckdb.DuckDBPyConnection") -> Rows:
            return fetch(connection, statement, limits)

        return await self._submit(read, limits.timeout_s)

    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        def read(connection: "duckdb.DuckDBPyConnection") -> Sequence[TableInfo]:
            connection.execute(CATALOG, {"schemas": list(self._target.schemas)})
            return tables_of([catalog_row(row) for row in connection.fetchall()])

        return await self._submit(read, timeout_s)

    async def ping(self, timeout_s: float) -> Pong:
        def read(connection: "duckdb.DuckDBPyConnection") -> Pong:
            connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
            return Pong(version=f"DuckDB {import_module('duckdb').__version__}")

        return await self._submit(read, timeout_s)

    async def aclose(self) -> None:
        await self._workers.aclose()

    async def _submit(
        self, read: "Callable[[duckdb.DuckDBPyConnection], T]", timeout_s: float
    ) -> T:
        job = DuckdbJob()

        def work() -> T:
            connection = job.connection = self._connect(job)
            try:
                return read(connection)
            except vendor_errors() as error:
                raise translate(self._target, error) from error
            finally:
                job.connection = None
                connection.close()

        return await self._workers.run(work, job, timeout_s)

    def _connect(self, job: DuckdbJob) -> "duckdb.DuckDBPyConnection":
        import duckdb

        if not self._path.is_file():
            raise problem(
                self._target,
                f"there is no file {self._path}",
                "not_found",
                hint="the path is relative to the working directory; four slashes begin an absolute one",
            )
        config: dict[str, Any] = {**OPTIONS, **self._target.address.options, **HARDENED}
        for last in [False] * (LOCK_TRIES - 1) + [True]:
            try:
                return duckdb.connect(
                    str(self._path), read_only=self._target.read_only, config=config
                )
            except duckdb.Error as error:
                if last or "lock" not in str(error) or job.stopped.wait(LOCK_PAUSE_S):
                    raise translate(self._target, error) from error
        raise AssertionError("the last try returns or raises")


def vendor_errors() -> tuple[type[Exception], ...]:
    """DuckDB's own tree, and Arrow's, as which an error in the middle of a stream arrives."""
    return import_module("duckdb").Error, import_module("pyarrow").ArrowException, OSError


def fetch(connection: "duckdb.DuckDBPyConnection", statement: str, limits: QueryLimits) -> Rows:
    """Stream the result; a relation, because `execute` would first compute all of it."""
    from databot.connectors.sql.arrow import MOST_ROWS, Intake, intake_of, simplified

    if len(connection.extract_statements(statement)) != 1:
        raise import_module("duckdb").ProgrammingError(SEVERAL)
    reader = reader_of(connection.sql(statement), min(MOST_ROWS, limits.max_rows + 1))
    if reader is None:
        return Intake([], limits).finish()
    intake = intake_of(reader.schema, limits)
    for batch in reader:
        intake.add(simplified(batch))
        if not intake.wanted:
            break
    return intake.finish()


def reader_of(
    relation: "duckdb.DuckDBPyRelation | None", rows: int
) -> "pa.RecordBatchReader | None":
    """The result in batches; before DuckDB 2 a statement may have none, and the reader had another name."""
    if relation is None:
        return None
    if hasattr(relation, "to_arrow_reader"):
        return relation.to_arrow_reader(rows)
    return relation.fetch_record_batch(rows)


def catalog_row(row: Sequence[Any]) -> Sequence[Any]:
    """DuckDB's row in the common shape: its keys come with lists of columns, its flags as text."""
    import json

    *table, columns, keys = row
    cells = [
        [name, kind, nullable == "true", primary == "true", comment]
        for name, kind, nullable, primary, comment in json.loads(columns or "[]")
    ]
    parts = [
        [place, source, table[0], key["table"], aim]
        for place, key in enumerate(json.loads(keys or "[]"))
        for source, aim in zip(key["source"], key["target"], strict=True)
    ]
    return [*table, cells, parts]


def translate(target: Target, error: Exception) -> ConnectorError:
    text = str(error).split("\n\nLINE", 1)[0]
    name = type(error).__name__
    if name == "InterruptException" or "INTERRUPT" in text:
        return problem(target, "the query was stopped", "cancelled")
    if "different configuration" in text or ("lock" in text and name == "IOException"):
        return problem(
            target,
            f"another program{holder(text)} holds {target.address.place}",
            "unavailable",
            hint="close the program that writes to it, or query a copy",
            retryable=True,
        )
    if name == "OutOfMemoryException":
        return problem(
            target, text, "too_large", hint="narrow the query, or add ?memory_limit=4GB to the URL"
        )
    if name in ("IOException", "SerializationException", "FatalException", "InternalException"):
        return problem(
            target,
            f"{target.address.place} is not a DuckDB database, or is damaged: {text}",
            "unavailable",
        )
    if "read-only" in text or name == "PermissionException":
        return problem(target, f"only reading is allowed here: {text}", "read_only")
    return problem(target, text, "bad_request")


def holder(text: str) -> str:
    """` (process 123)`, where DuckDB says which one has the lock."""
    found = re.search(r"\(PID (\d+)\)", text)
    return f" (process {found.group(1)})" if found else ""
