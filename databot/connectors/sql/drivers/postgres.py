"""PostgreSQL through asyncpg.

Read-only three times over: the session's default is read-only, every statement runs in an explicit READ ONLY transaction
that is always rolled back, and it is prepared, so that one text can hold one statement only. The portal is read in
chunks. asyncpg sends a CancelRequest when the awaiting task is cancelled; the connection is closed after that.
"""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from databot.connectors.base import QueryLimits, TableInfo
from databot.connectors.sql.address import check_options
from databot.connectors.sql.catalog_rows import tables_of
from databot.connectors.sql.driver import CONNECT_TIMEOUT_S, Driver, Pong, Rows, Target
from databot.connectors.sql.drivers.postgres_errors import translate
from databot.connectors.sql.pool import Pool, Stale
from databot.connectors.sql.problems import unreachable

if TYPE_CHECKING:
    import asyncpg

HANG_UP_S = 5.0
LOCK_TIMEOUT_MS = 5000
IDLE_TIMEOUT_MS = 60_000
OPTIONS = (
    "host",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
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
        check_options(target.address, (*OPTIONS, "ssl"))
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
            return Pong(version=version, warning=warning)

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


class PostgresDialer:
    """Opens read-only sessions."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def connect(self) -> "asyncpg.Connection":
        import asyncpg

        address = self._target.address
        try:
            connection = await asyncpg.connect(
                dsn_without_login(self._target),
                user=address.user,
                password=address.password,
                timeout=CONNECT_TIMEOUT_S,
                statement_cache_size=0,  # a transaction pooler may stand between
                server_settings=session_settings(self._target),
            )
            await prepare_session(connection)
        except TimeoutError as error:
            reason = f"no answer within {CONNECT_TIMEOUT_S:g} s"
            raise unreachable(self._target, reason) from error
        except vendor_errors() as error:
            raise translate(self._target, error) from error
        return connection

    def usable(self, connection: "asyncpg.Connection") -> bool:
        return not connection.is_closed() and not connection.is_in_transaction()

    async def hang_up(self, connection: "asyncpg.Connection", *, working: bool) -> None:
        """A CancelRequest is on its way when `working`; closing waits for its effect, within a bound."""
        try:
            await connection.close(timeout=HANG_UP_S if working else 1.0)
        except vendor_errors():
            connection.terminate()


async def prepare_session(connection: "asyncpg.Connection") -> None:
    """Read intervals as text: a timedelta has no months. A connection that cannot be prepared is cut."""
    ready = False
    try:
        await connection.set_type_codec(
            "interval", schema="pg_catalog", encoder=str, decoder=str, format="text"
        )
        ready = True
    finally:
        if not ready:
            connection.terminate()


def vendor_errors() -> tuple[type[BaseException], ...]:
    """What asyncpg raises: its own tree, the socket's errors, and values Python cannot hold."""
    asyncpg = import_module("asyncpg")
    return (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
        ValueError,
        OverflowError,
    )


def dsn_without_login(target: Target) -> str:
    """The URL without user and password, which are passed apart so that no message can repeat them."""
    address = target.address
    options = dict(address.options)
    if "ssl" in options:  # as SQLAlchemy's asyncpg URLs spell it
        options["sslmode"] = {"true": "require", "false": "disable"}.get(
            options["ssl"].lower(), options["ssl"]
        )
    kept = {
        key: value
        for key, value in options.items()
        if key not in ("ssl", "search_path", "timezone")
    }
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = f":{address.port}" if address.port else ""
    return f"postgresql://{host}{port}/{address.database}?{urlencode(kept)}"


def session_settings(target: Target) -> dict[str, str]:
    """What the session begins with. `standard_conforming_strings` keeps the guard's reading of quotes right."""
    chosen = {
        "application_name": "databot",
        "standard_conforming_strings": "on",
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
    }
    if target.read_only:
        chosen["default_transaction_read_only"] = "on"
    for key, setting in (("search_path", "search_path"), ("timezone", "TimeZone")):
        if key in target.address.options:
            chosen[setting] = target.address.options[key]
    return chosen


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
