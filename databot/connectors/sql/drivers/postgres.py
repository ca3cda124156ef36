"""PostgreSQL through asyncpg.

Read-only three times over: the session's default is read-only, every statement runs in an explicit READ ONLY transaction
that is always rolled back, and it is prepared, so that one text can hold one statement only. The portal is read in
chunks. asyncpg sends a CancelRequest when the awaiting task is cancelled; the connection is closed after that.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from databot.connectors.base import QueryLimits, TableInfo
from databot.connectors.sql.address import check_options
from databot.connectors.sql.catalog_rows import tables_of
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.drivers.postgres_dial import PostgresDialer, on_socket, vendor_errors
from databot.connectors.sql.drivers.postgres_errors import translate
from databot.connectors.sql.pool import Pool, Stale
from databot.connectors.sql.tls import SPELLINGS, encryption_of
from databot.types.tls import OPTIONS as TLS_OPTIONS

if TYPE_CHECKING:
    import asyncpg

OPTIONS = (
    "host",
    *TLS_OPTIONS,
    "sslnegotiation",
    "target_session_attrs",
    "search_path",
    "timezone",
)

CATALOG = """
SELECT n.nspname, c.relname, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END,
  obj_description(c.oid, 'pg_class'), c.reltuples::bigint,
  (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
            COALESCE(a.attnum = ANY (p.conkey), false), col_description(c.oid, a.attnum)) ORDER BY a.attnum)
     FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT json_agg(json_build_array(k.conname, a.attname, tn.nspname, t.relname, ta.attname) ORDER BY k.conname, u.place)
     FROM pg_constraint k
     CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(source, target, place)
     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.source
     JOIN pg_class t ON t.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     JOIN pg_attribute ta ON ta.attrelid = k.confrelid AND ta.attnum = u.target
    WHERE k.conrelid = c.oid AND k.contype = 'f')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  AND (cardinality($1::text[]) = 0 OR n.nspname = ANY ($1::text[]))
  AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
ORDER BY n.nspname, c.relname
"""
WHO = """
SELECT 'PostgreSQL ' || current_setting('server_version'), rolsuper FROM pg_roles WHERE rolname = current_user
"""


class PostgresDriver(Driver):
    """A PostgreSQL database."""

    explain_prefix: ClassVar[str] = "EXPLAIN "

    def __init__(self, target: Target) -> None:
        check_options(target.address, OPTIONS, SPELLINGS)
        self.dialect = "postgres"
        self.default_schema = "public"
        self._target = target
        self._pool: Pool[asyncpg.Connection] = Pool(target, PostgresDialer(target))

    async def run(self, statement: str, limits: QueryLimits, label: str) -> Rows:
        work = partial(self._read, statement=statement, limits=limits, label=label)
        return await self._pool.run(work, limits.timeout_s)

    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        async def look(connection: "asyncpg.Connection") -> Sequence[TableInfo]:
            rows = await self._fetch(connection, CATALOG, list(self._target.schemas))
            return tables_of([tuple(row) for row in rows])

        return await self._pool.run(look, timeout_s)

    async def ping(self, timeout_s: float) -> Pong:
        async def look(connection: "asyncpg.Connection") -> Pong:
            version, superuser = (await self._fetch(connection, WHO))[0]
            warning = "connected as a superuser; use a role with SELECT only" if superuser else ""
            transport: Any = connection._transport  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public door
            encryption = encryption_of(transport, local=on_socket(self._target))
            return Pong(version=version, warning=warning, encryption=encryption)

        return await self._pool.run(look, timeout_s)

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _fetch(
        self, connection: "asyncpg.Connection", query: str, *values: object
    ) -> Sequence[Any]:
        """Our own small look at the catalog, outside a transaction: the session is read-only by default."""
        try:
            return await connection.fetch(query, *values)
        except vendor_errors() as error:
            if connection.is_closed():
                raise Stale(translate(self._target, error)) from error
            raise translate(self._target, error) from error

    async def _read(
        self,
        connection: "asyncpg.Connection",
        *,
        statement: str,
        limits: QueryLimits,
        label: str,
    ) -> Rows:
        try:
            await connection.execute(opening(limits, label, read_only=self._target.read_only))
        except vendor_errors() as error:
            raise Stale(translate(self._target, error)) from error
        try:
            rows = await read_portal(connection, statement, limits)
            await connection.execute("ROLLBACK" if self._target.read_only else "COMMIT")
        except vendor_errors() as error:
            await self._roll_back(connection)
            raise translate(self._target, error) from error
        return rows

    async def _roll_back(self, connection: "asyncpg.Connection") -> None:
        if connection.is_closed():
            return
        try:
            await connection.execute("ROLLBACK")
        except vendor_errors():
            connection.terminate()  # what the first error says is what matters


def opening(limits: QueryLimits, label: str, *, read_only: bool) -> str:
    """Begin the transaction; after the first SELECT it can no longer be made writable."""
    return (
        f"BEGIN {'READ ONLY' if read_only else 'READ WRITE'}; "
        f"SET LOCAL statement_timeout = {max(1, round(limits.timeout_s * 1000))}; "
        f"SET LOCAL application_name = '{safe_label(label)}'; SELECT 1"
    )


def safe_label(label: str) -> str:
    """The caller's name as a server shows it: 63 plain characters."""
    return "".join(char if char.isalnum() or char in "/._-@" else "_" for char in label)[:63]


async def read_portal(
    connection: "asyncpg.Connection", statement: str, limits: QueryLimits
) -> Rows:
    from databot.connectors.sql.arrow import Intake
    from databot.connectors.sql.drivers.postgres_types import arrow_type

    prepared = await connection.prepare(statement)
    attributes = prepared.get_attributes()
    intake = Intake(
        [attribute.name for attribute in attributes],
        limits,
        [arrow_type(attribute.type.name) for attribute in attributes],
    )
    if not attributes:
        await prepared.fetch()
        return intake.finish()
    cursor = await prepared.cursor()
    while wanted := intake.wanted:
        rows = await cursor.fetch(wanted)
        intake.add_rows(rows)
        if len(rows) < wanted:
            break
    return intake.finish()
