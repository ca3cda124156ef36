"""MySQL and MariaDB through asyncmy.

Read-only twice over: the session and every transaction are READ ONLY, and the transaction is always rolled back; several
statements in one text are switched off on the wire. A task that is cancelled does not stop the server here, so a side
connection kills the thread; the same when a result is left before its end, because closing it would read it all.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from databot.connectors.base import QueryLimits, TableInfo
from databot.connectors.sql.address import check_options
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.drivers.mysql_catalog import CATALOG, SYSTEM_SCHEMAS, tables_from
from databot.connectors.sql.drivers.mysql_dial import MysqlDialer, Session, on_socket, vendor_errors
from databot.connectors.sql.drivers.mysql_errors import translate
from databot.connectors.sql.pool import Pool, Stale
from databot.connectors.sql.tls import SPELLINGS, encryption_of
from databot.types.tls import OPTIONS as TLS_OPTIONS

SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""Pinned, because ANSI_QUOTES and NO_BACKSLASH_ESCAPES would change what the guard has read."""
OPTIONS = (*TLS_OPTIONS, "unix_socket", "charset")
RISKY_PRIVILEGES = ("FILE", "SUPER", "INSERT", "UPDATE", "DELETE", "DROP", "CREATE")
WHO = f"""
SELECT VERSION(), (SELECT GROUP_CONCAT(DISTINCT PRIVILEGE_TYPE SEPARATOR ', ') FROM information_schema.USER_PRIVILEGES
  WHERE PRIVILEGE_TYPE IN ({", ".join(f"'{name}'" for name in RISKY_PRIVILEGES)}))
"""  # noqa: S608 - constants


class MysqlDriver(Driver):
    """A MySQL or MariaDB server, or one database of it."""

    def __init__(self, target: Target) -> None:
        check_options(target.address, OPTIONS, SPELLINGS)
        self.dialect = "mysql"
        self.default_schema = target.address.database
        self._target = target
        self._pool: Pool[Session] = Pool(target, MysqlDialer(target))

    async def run(self, statement: str, limits: QueryLimits, label: str) -> Rows:  # noqa: ARG002 - the server knows us by program name; a comment would change the statement
        work = partial(self._read, statement=statement, limits=limits)
        return await self._pool.run(work, limits.timeout_s)

    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        async def look(session: Session) -> Sequence[TableInfo]:
            return tables_from(await self._ask(session, CATALOG, schemas_wanted(self._target)))

        return await self._pool.run(look, timeout_s)

    async def ping(self, timeout_s: float) -> Pong:
        async def look(session: Session) -> Pong:
            version, privileges = (await self._ask(session, WHO, ()))[0]
            product = "" if session.mariadb else "MySQL "
            warning = f"the user also has {privileges}; give it SELECT only" if privileges else ""
            transport = session.connection._transport  # noqa: SLF001 - there is no public door
            local = on_socket(self._target)
            return Pong(
                version=f"{product}{version}",
                warning=warning,
                encryption=encryption_of(transport, local=local),
            )

        return await self._pool.run(look, timeout_s)

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _ask(
        self, session: Session, query: str, values: Sequence[str]
    ) -> Sequence[tuple[Any, ...]]:
        """Our own small look at the catalog, read whole."""
        try:
            async with session.connection.cursor() as cursor:
                await cursor.execute("SET SESSION sql_select_limit = DEFAULT")
                await cursor.execute(query, tuple(values) or None)
                return await cursor.fetchall()
        except vendor_errors() as error:
            if not session.connection.connected:
                raise Stale(translate(self._target, error)) from error
            raise translate(self._target, error) from error

    async def _read(self, session: Session, *, statement: str, limits: QueryLimits) -> Rows:
        try:
            await session.connection.query(
                bounds(limits, mariadb=session.mariadb, read_only=self._target.read_only)
            )
            await session.connection.query(
                f"START TRANSACTION READ {'ONLY' if self._target.read_only else 'WRITE'}"
            )
        except vendor_errors() as error:
            raise Stale(translate(self._target, error)) from error
        try:
            rows = await read_stream(session, statement, limits)
            if not session.unread:
                await session.connection.query("ROLLBACK" if self._target.read_only else "COMMIT")
        except vendor_errors() as error:
            problem = translate(self._target, error)
            await self._roll_back(session)
            raise problem from error
        return rows

    async def _roll_back(self, session: Session) -> None:
        if not session.connection.connected or session.unread:
            return
        try:
            await session.connection.query("ROLLBACK")
        except vendor_errors():
            session.connection.close()  # what the first error says is what matters


def bounds(limits: QueryLimits, *, mariadb: bool, read_only: bool) -> str:
    """What holds for the next statement, said anew each time: nothing an earlier one set is trusted.

    The session itself is read-only too, because a DDL statement ends the transaction it is in. `sql_select_limit` ends
    a result on the server, so that reading it to its end is cheap.
    """
    seconds = limits.timeout_s
    settings = [
        f"sql_mode = '{SQL_MODE}'",
        f"max_statement_time = {seconds:.3f}"
        if mariadb
        else f"max_execution_time = {max(1, round(seconds * 1000))}",
        f"sql_select_limit = {limits.max_rows + 1}",
        f"{'tx_read_only' if mariadb else 'transaction_read_only'} = {int(read_only)}",
    ]
    return f"SET SESSION {', '.join(settings)}"


def schemas_wanted(target: Target) -> tuple[str, ...]:
    """The parameters of CATALOG: the schemas asked for, as one comma-separated list, twice."""
    chosen = target.schemas or ((target.address.database,) if target.address.database else ())
    wanted = ",".join(chosen)
    return wanted, wanted, SYSTEM_SCHEMAS, wanted, wanted, SYSTEM_SCHEMAS


async def read_stream(session: Session, statement: str, limits: QueryLimits) -> Rows:
    from asyncmy.cursors import SSCursor

    from databot.connectors.sql.arrow import Intake
    from databot.connectors.sql.drivers.mysql_types import arrow_type

    cursor = session.connection.cursor(SSCursor)
    await cursor.execute(statement)
    described = cursor.description or ()
    intake = Intake(
        [column[0] for column in described], limits, [arrow_type(column[1]) for column in described]
    )
    session.unread = bool(described)
    while described and (wanted := intake.wanted):
        rows = await cursor.fetchmany(wanted)
        intake.add_rows(rows)
        if len(rows) < wanted:
            session.unread = False
            break
    if session.unread and not await cursor.fetchone():
        session.unread = False
    if not session.unread:
        await cursor.close()
    return intake.finish()
