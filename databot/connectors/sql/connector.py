"""A SQL database as a connector: the guard in front, one driver behind, a cached catalog beside.

Every statement that reaches the driver passed `check_sql` here. The connector knows no engine; the driver knows no guard.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import ValidationError

from databot.connectors.base import (
    BaseConnector,
    CallContext,
    ConnectorConfig,
    Health,
    HealthState,
    Operation,
    QueryLimits,
    QueryResult,
    TableInfo,
    TableName,
)
from databot.connectors.sql.address import parse_address
from databot.connectors.sql.catalog import Catalog
from databot.connectors.sql.config import SqlConfig
from databot.connectors.sql.driver import Driver, Target
from databot.connectors.sql.engines import make_driver
from databot.connectors.sql.operations import ARGUMENTS, Arguments, operations
from databot.types.clock import Clock, SystemClock
from databot.types.errors import ConnectorError, describe, shorten

HEALTH_TIMEOUT_S = 5.0
SLOW_MS = 2000.0


class SQLConnector(BaseConnector):
    """One database, read-only: implements `SqlSource`.

    Raises on building: `ConfigError` (URL, options) and `MissingExtra`. Raises on use: `ConnectorError`, `QueryRefused`.
    """

    kind: ClassVar[str] = "sql"
    Config: ClassVar[type[ConnectorConfig]] = SqlConfig

    def __init__(self, name: str, config: SqlConfig, clock: Clock | None = None) -> None:
        super().__init__(name, config)
        target = Target(
            name=name,
            address=parse_address(config.url.get_secret_value()),
            read_only=config.read_only,
            pool_size=config.pool_size,
            pool_wait_s=config.pool_wait_s,
            schemas=tuple(config.schemas),
        )
        self._limits = QueryLimits(
            max_rows=config.max_rows, max_bytes=config.max_bytes, timeout_s=config.timeout_s
        )
        self._running = 0
        self._driver: Driver = make_driver(
            target, allow_unverified=config.allow_unverified_read_only
        )
        self.dialect: str = self._driver.dialect
        self._catalog = Catalog(
            self._driver,
            clock or SystemClock(),
            ttl_s=config.schema_ttl_s,
            timeout_s=config.timeout_s,
        )

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        return await self._run(await self._checked(sql), context, self._bounded(limits))

    async def list_schemas(self) -> Sequence[str]:
        tables = await self._catalog.tables()
        return tuple(dict.fromkeys(info.table.schema for info in tables if info.table.schema))

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        return tuple(info.table for info in await self.describe(schema))

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        tables = await self._catalog.tables()
        if schema is None:
            return tables
        return tuple(info for info in tables if info.table.schema.lower() == schema.lower())

    async def describe_table(self, name: str) -> TableInfo:
        return await self._catalog.find(name, self.name)

    async def sample(self, name: str, context: CallContext, rows: int = 5) -> QueryResult:
        info = await self.describe_table(name)
        sql = select_some(info.table, max(1, rows), self.dialect)
        return await self.query(sql, context)

    async def explain(self, sql: str, context: CallContext) -> str:
        statement = await self._checked(sql)
        prefix = self._driver.explain_prefix
        if not statement.upper().startswith("EXPLAIN"):
            statement = await self._checked(prefix + statement)
        result = await self._run(statement, context, self._limits)
        return plan_text(result.table.to_pylist())

    def operations(self) -> Sequence[Operation]:
        return operations()

    async def execute(
        self, operation: str, arguments: Mapping[str, Any], context: CallContext
    ) -> Any:  # noqa: ANN401 - JSON-able, or a QueryResult
        chosen = self._arguments(operation, arguments)
        match operation:
            case "query":
                return await self.query(chosen["sql"], context)
            case "list_schemas":
                return list(await self.list_schemas())
            case "list_tables":
                return [asdict(table) for table in await self.list_tables(chosen["schema_name"])]
            case "describe_table":
                return asdict(await self.describe_table(chosen["name"]))
            case "sample":
                return await self.sample(chosen["name"], context, chosen["rows"])
            case _:
                return await self.explain(chosen["sql"], context)

    async def health(self) -> Health:
        if self._running >= self.config.pool_size:
            detail = f"{self.name}: all {self._running} connections are busy"
            return Health(state=HealthState.DEGRADED, detail=detail)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                pong = await self._driver.ping(HEALTH_TIMEOUT_S)
        except TimeoutError:
            detail = f"{self.name}: no answer within {HEALTH_TIMEOUT_S:g} s"
            return Health(state=HealthState.DOWN, detail=detail)
        except ConnectorError as error:
            return Health(state=HealthState.DOWN, detail=describe(error))
        latency = (time.perf_counter() - started) * 1000
        slow = f"slow: {latency:.0f} ms" if latency > SLOW_MS else ""
        trouble = "; ".join(filter(None, (pong.warning, slow)))
        who = ", ".join(filter(None, (pong.version, pong.encryption)))
        return Health(
            state=HealthState.DEGRADED if trouble else HealthState.OK,
            detail=f"{who}: {trouble}" if trouble else who,
            latency_ms=latency,
        )

    async def aclose(self) -> None:
        await self._driver.aclose()

    async def _checked(self, sql: str) -> str:
        """The statement to run. sqlglot is loaded, and long texts are read, in a thread."""
        return await asyncio.to_thread(checked_statement, sql, self.dialect)

    def _bounded(self, wish: QueryLimits | None) -> QueryLimits:
        """The operator's limits, or lower ones."""
        if wish is None:
            return self._limits
        return QueryLimits(
            max_rows=min(wish.max_rows, self._limits.max_rows),
            max_bytes=min(wish.max_bytes, self._limits.max_bytes),
            timeout_s=min(wish.timeout_s, self._limits.timeout_s),
        )

    async def _run(self, statement: str, context: CallContext, limits: QueryLimits) -> QueryResult:
        started = time.perf_counter()
        self._running += 1
        try:
            rows = await self._driver.run(statement, limits, label_of(context))
        finally:
            self._running -= 1
        return QueryResult(
            statement=statement,
            table=rows.table,
            truncated=bool(rows.truncated_by),
            truncated_by=rows.truncated_by,
            elapsed_ms=(time.perf_counter() - started) * 1000,
        )

    def _arguments(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if operation not in ARGUMENTS:
            raise ConnectorError(
                f"{self.name}: there is no operation {shorten(operation)!r}",
                kind="unsupported",
                connector=self.name,
                hint=f"the operations are: {', '.join(ARGUMENTS)}",
            )
        model: type[Arguments] = ARGUMENTS[operation][0]
        try:
            return model.model_validate(dict(arguments)).model_dump()
        except ValidationError as error:
            raise ConnectorError(
                f"{self.name}: the arguments of {operation} do not fit: {problems_of(error)}",
                kind="bad_request",
                connector=self.name,
            ) from error


def checked_statement(sql: str, dialect: str) -> str:
    from databot.connectors.sql.guard import check_sql

    return check_sql(sql, dialect).sql


def select_some(table: TableName, rows: int, dialect: str) -> str:
    """`SELECT *` with a limit, in the dialect's own words and quotes."""
    from sqlglot import exp

    source = exp.table_(table.name, db=table.schema or None, quoted=True)
    return exp.select("*").from_(source).limit(rows).sql(dialect=dialect)


def plan_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A plan's rows as lines: the one column that says something, or `name=value` of all."""
    return "\n".join(plan_line(row) for row in rows)


def plan_line(row: Mapping[str, Any]) -> str:
    for telling in ("QUERY PLAN", "explain_value", "detail", "EXPLAIN"):
        if telling in row:
            return str(row[telling])
    return " ".join(f"{name}={value}" for name, value in row.items() if value is not None)


def label_of(context: CallContext) -> str:
    """How the caller is named to the server."""
    return "/".join(filter(None, (context.label, context.session_id, context.principal_id)))


def problems_of(error: ValidationError) -> str:
    """What does not fit, without the values."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg'].lower()}"
        for item in error.errors(include_input=False, include_url=False)
    )
