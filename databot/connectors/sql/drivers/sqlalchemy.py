"""Any other dialect SQLAlchemy knows, in threads: the escape hatch.

Not equal to the native drivers, and it says so. The engine is not held read-only (there is no common way): the guard and
the rights of the database user are what protects it, which is why `engines.make_driver` asks the operator first. Cancelling
uses the client's own `cancel()` or `interrupt()` where it has one; else the thread is waited for, then given up.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from databot.connectors.base import Column, ForeignKey, QueryLimits, TableInfo, TableName
from databot.connectors.sql.driver import Driver, Pong, Rows, Target
from databot.connectors.sql.problems import problem, unreachable
from databot.connectors.sql.workers import Workers
from databot.types.errors import ConfigError, ConnectorError, MissingExtra

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.reflection import Inspector

T = TypeVar("T")
DIALECTS = {
    "postgresql": "postgres",
    "mssql": "tsql",
    "awsathena": "athena",
    "mariadb": "mysql",
    "druid": "druid",
    "sparksql": "spark",
}
"""SQLAlchemy's dialect names that sqlglot spells another way; the others are the same in both."""


class Job:
    """One statement's client connection, stoppable from another thread where the client allows it."""

    def __init__(self) -> None:
        self.client: Any = None

    def stop(self) -> None:
        for name in ("cancel", "interrupt"):
            method = getattr(self.client, name, None)
            if callable(method):
                method()
                return


class SqlAlchemyDriver(Driver):
    """A database by its SQLAlchemy URL."""

    def __init__(self, target: Target) -> None:
        from sqlglot.dialects.dialect import Dialect

        name = target.address.scheme.partition("+")[0]
        self.dialect = DIALECTS.get(name, name)
        if self.dialect not in Dialect.classes:
            raise ConfigError(
                f"databot has no grammar for the SQL of {name!r}, so nothing sent there could be checked"
            )
        self._target = target
        self._engine: Engine = make_engine(target)
        self._workers = Workers(target)

    async def run(self, statement: str, limits: QueryLimits, label: str) -> Rows:  # noqa: ARG002 - no common way to tell a server
        def read(connection: "Connection") -> Rows:
            return fetch(connection, statement, limits)

        return await self._submit(read, limits.timeout_s)

    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        def read(connection: "Connection") -> Sequence[TableInfo]:
            return inspected(import_module("sqlalchemy").inspect(connection), self._target.schemas)

        return await self._submit(read, timeout_s)

    async def ping(self, timeout_s: float) -> Pong:
        def read(connection: "Connection") -> Pong:
            version = connection.dialect.server_version_info or ()
            return Pong(
                version=f"{connection.dialect.name} {'.'.join(map(str, version))}".strip(),
                warning="the engine is not held read-only; only the rights of its user are",
            )

        return await self._submit(read, timeout_s)

    async def aclose(self) -> None:
        await self._workers.aclose()
        self._engine.dispose()

    async def _submit(self, read: "Callable[[Connection], T]", timeout_s: float) -> T:
        job = Job()

        def work() -> T:
            try:
                with self._engine.connect() as connection:
                    job.client = connection.connection.driver_connection
                    try:
                        return read(connection)
                    finally:
                        job.client = None
                        connection.rollback()
            except import_module("sqlalchemy.exc").SQLAlchemyError as error:
                raise translate(self._target, error) from error

        return await self._workers.run(work, job, timeout_s)


class MissingClient(MissingExtra):
    """The client of a dialect beyond our own extras is not installed."""

    def __init__(self, scheme: str, package: str) -> None:
        super().__init__(f"{scheme}://", extra="")
        self.message = f"the client for {scheme}:// URLs is not installed"
        self.args = (self.message,)
        self.hint = f"install the package that provides {package!r}"


def make_engine(target: Target) -> "Engine":
    """Make the engine; the URL is never repeated.

    Raises:
        MissingClient: the dialect is known and its client is not installed.
        ConfigError: there is no such dialect here, or the URL cannot be read.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    scheme = target.address.scheme
    try:
        return create_engine(target.address.url, pool_pre_ping=True, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise MissingClient(scheme, error.name or scheme) from error
    except NoSuchModuleError as error:
        raise ConfigError(
            f"nothing here knows {scheme}:// URLs",
            hint="check the URL for a typo, or install the package that provides this SQLAlchemy dialect",
        ) from error
    except (ArgumentError, ValueError, TypeError) as error:
        raise ConfigError(f"the {scheme} URL cannot be read") from error


def fetch(connection: "Connection", statement: str, limits: QueryLimits) -> Rows:
    from databot.connectors.sql.arrow import Intake

    streaming = connection.execution_options(stream_results=True)
    result = streaming.exec_driver_sql(statement)
    intake = Intake(list(result.keys()), limits)
    while wanted := intake.wanted:
        rows = result.fetchmany(wanted)
        intake.add_rows([tuple(row) for row in rows])
        if len(rows) < wanted:
            break
    result.close()
    return intake.finish()


def inspected(inspector: "Inspector", schemas: Sequence[str]) -> tuple[TableInfo, ...]:
    """Every table by a few calls a schema, not a few a table."""
    chosen: Sequence[str | None] = schemas or (inspector.default_schema_name,)
    return tuple(info for schema in chosen for info in tables_of(inspector, schema))


def tables_of(inspector: "Inspector", schema: str | None) -> list[TableInfo]:
    from sqlalchemy.engine.reflection import ObjectKind

    views = set(inspector.get_view_names(schema))
    columns = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY)
    primary = inspector.get_multi_pk_constraint(schema=schema)
    keyed = {key: frozenset(item["constrained_columns"]) for key, item in primary.items() if item}
    foreign = inspector.get_multi_foreign_keys(schema=schema)
    return [
        TableInfo(
            table=TableName(
                schema=schema or "", name=key[1], kind="view" if key[1] in views else "table"
            ),
            columns=tuple(column_of(item, keyed.get(key, frozenset())) for item in found),
            foreign_keys=tuple(key_of(dict(item)) for item in foreign.get(key, ())),
        )
        for key, found in sorted(columns.items(), key=lambda item: item[0][1])
    ]


def column_of(item: Any, primary: frozenset[str]) -> Column:  # noqa: ANN401 - a TypedDict of SQLAlchemy's
    return Column(
        name=item["name"],
        type=str(item["type"]),
        nullable=bool(item.get("nullable", True)),
        primary_key=item["name"] in primary,
        comment=item.get("comment") or "",
    )


def key_of(item: dict[str, Any]) -> ForeignKey:
    return ForeignKey(
        columns=tuple(item["constrained_columns"]),
        to_schema=item.get("referred_schema") or "",
        to_table=item["referred_table"],
        to_columns=tuple(item["referred_columns"]),
    )


def translate(target: Target, error: Exception) -> ConnectorError:
    """The client's own text, without SQLAlchemy's statement and links around it."""
    original = getattr(error, "orig", None)
    text = str(original or error).split("\n", 1)[0]
    if getattr(error, "connection_invalidated", False) or (
        type(error).__name__ in ("OperationalError", "InterfaceError")
        and getattr(error, "statement", None) is None
    ):
        return unreachable(target, text)
    return problem(target, text, "bad_request")
