"""What the tests of tools share: a small SQL source over a real SQLite file, and a caller."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from databot.connectors.base import (
    BaseConnector,
    CallContext,
    Column,
    ConnectorStatus,
    ForeignKey,
    QueryLimits,
    QueryResult,
    SqlSource,
    TableInfo,
    TableName,
)
from databot.storage.base import Artifact
from databot.testing.clock import FakeClock
from databot.testing.memory_store import MemoryArtifactStore, MemoryKeyValue
from databot.tools.base import ToolContext, ToolServices
from databot.types.chat import ToolCall
from databot.types.errors import ConnectorError
from databot.types.messages import ConversationKey, Principal

CONTEXT = ToolContext(
    conversation=ConversationKey(tenant_id="acme", bot_id="default", session_id="s_1"),
    principal=Principal(id="ada", tenant_id="acme"),
    turn_id="turn_1",
    call_id="call_1",
)


def tool_call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id="call_1", name=name, arguments=arguments)


class SqliteSource:
    """A `SqlSource` over one file: just enough of one, without any safety."""

    dialect = "sqlite"

    def __init__(self, name: str, path: Path, max_rows: int = 1000) -> None:
        self.name = name
        self.asked: list[tuple[str, CallContext, QueryLimits | None]] = []
        self._path = path
        self._max_rows = max_rows

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        self.asked.append((sql, context, limits))
        limit = min(self._max_rows, limits.max_rows) if limits else self._max_rows
        return await asyncio.to_thread(self._query, sql, limit)

    def _query(self, sql: str, limit: int) -> QueryResult:
        connection = sqlite3.connect(self._path)
        try:
            cursor = connection.execute(sql)
            rows = cursor.fetchmany(limit + 1)
            names = [column[0] for column in cursor.description]
        except sqlite3.Error as error:
            raise ConnectorError(
                str(error), kind="bad_request", connector=self.name, hint="look at `schema`"
            ) from error
        finally:
            connection.close()
        kept = rows[:limit]
        columns = [pa.array([row[place] for row in kept]) for place in range(len(names))]
        return result(
            pa.table(dict(zip(names, columns, strict=True))), sql=sql, truncated=len(rows) > limit
        )

    async def list_schemas(self) -> Sequence[str]:
        return ["main"]

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        del schema
        return [info.table for info in await self.describe()]

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        del schema
        return [
            table("customers", "id", "name", "country"),
            table("orders", "id", "customer_id", "amount", keys={"customer_id": "customers.id"}),
        ]

    async def describe_table(self, name: str) -> TableInfo:
        for info in await self.describe():
            if info.table.name == name:
                return info
        raise ConnectorError(
            f"there is no table {name!r}; the nearest are: customers",
            kind="not_found",
            connector=self.name,
        )

    async def sample(self, name: str, context: CallContext, rows: int = 5) -> QueryResult:
        return await self.query(f"SELECT * FROM {name} LIMIT {rows}", context)

    async def explain(self, sql: str, context: CallContext) -> str:
        del sql, context
        return "SCAN"


def table(
    name: str,
    *columns: str,
    schema: str = "main",
    keys: Mapping[str, str] | None = None,
    rows: int | None = 3,
    comment: str = "",
) -> TableInfo:
    """A described table; its first column is the primary key."""
    return TableInfo(
        table=TableName(schema=schema, name=name, comment=comment, row_estimate=rows),
        columns=tuple(
            Column(name=column, type="INTEGER", primary_key=place == 0)
            for place, column in enumerate(columns)
        ),
        foreign_keys=tuple(
            ForeignKey(
                columns=(column,),
                to_schema=schema,
                to_table=target.split(".")[0],
                to_columns=(target.split(".")[1],),
            )
            for column, target in (keys or {}).items()
        ),
    )


def result(
    rows: "pa.Table", *, sql: str = "SELECT", truncated: bool = False, elapsed_ms: float = 1.5
) -> QueryResult:
    return QueryResult(
        statement=sql,
        table=rows,
        truncated=truncated,
        elapsed_ms=elapsed_ms,
        truncated_by="rows" if truncated else "",
    )


class FixedSource(SqliteSource):
    """A source that gives one result whatever it is asked."""

    def __init__(self, given: "pa.Table", *, truncated: bool = False, name: str = "shop") -> None:
        super().__init__(name, Path("nowhere"))
        self._given = given
        self._truncated = truncated

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        self.asked.append((sql, context, limits))
        return result(self._given, sql=sql, truncated=self._truncated)


@dataclass
class StaticConnectors:
    """`Connectors` that are given, SQL ones only."""

    sources: Mapping[str, SqlSource]

    def names(self) -> Sequence[str]:
        return list(self.sources)

    def get(self, name: str) -> BaseConnector:
        raise ConnectorError(f"there is no connector {name!r}", kind="not_found")

    def sql(self) -> Mapping[str, SqlSource]:
        return self.sources

    async def statuses(self) -> Sequence[ConnectorStatus]:
        return []


@dataclass
class Bench:
    """Services with their insides in reach."""

    sources: Sequence[SqlSource]
    store: MemoryArtifactStore = field(default_factory=MemoryArtifactStore)
    memory: MemoryKeyValue = field(default_factory=MemoryKeyValue)
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def services(self) -> ToolServices:
        return ToolServices(
            connectors=StaticConnectors({source.name: source for source in self.sources}),
            artifacts=self.store,
            memory=self.memory,
            clock=self.clock,
        )

    @property
    def artifact(self) -> Artifact:
        (only,) = self.store.saved
        return only


def make_shop(path: Path, orders: int = 3) -> Path:
    """A small shop: customers, and orders with amounts 10, 20, 30 …"""
    connection = sqlite3.connect(path)
    try:
        connection.executescript(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, country TEXT);"
            "INSERT INTO customers VALUES (1, 'Ada', 'UK'), (2, 'Bo', 'SE'), (3, 'Li', 'CN');"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INT, amount REAL);"
        )
        rows: list[tuple[Any, ...]] = [
            (number, number % 3 + 1, number * 10.0) for number in range(1, orders + 1)
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        connection.commit()
    finally:
        connection.close()
    return path


AWKWARD = pa.table(
    {
        "big": pa.array([2**60, None], pa.int64()),
        "money": pa.array([Decimal("12345678901234567890.12"), None]),
        "ratio": pa.array([float("nan"), float("inf")]),
        "when": pa.array([1_700_000_000_000_000, None], pa.timestamp("us", "UTC")),
        "nanos": pa.array([1_001, 2**62], pa.timestamp("ns")),
        "data": pa.array([b"\x00\xff", b"x" * 100]),
        "tags": pa.array([["a", None], []]),
        "text": pa.array(["two\nlines\u2028three", ""]),
        "flag": pa.array([True, None]),
    }
)
"""One of everything that JSON, CSV or Python has no plain way to write."""
