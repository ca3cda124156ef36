"""The contract of connectors: live links to data systems.

A connector has a name given by the operator, operations with a risk class, and a health in four states. It knows no
model, no tool and no conversation. `SqlSource` is what every SQL engine can do beyond that, typed.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pyarrow as pa

Risk = Literal["read", "read_sensitive", "write", "destructive", "cost"]


class HealthState(enum.StrEnum):
    """How a connector is."""

    OK = "ok"
    DEGRADED = "degraded"
    """It answers, but not as it should: slow, partly down, wrong privileges."""
    DOWN = "down"
    """It does not answer, or refuses us."""
    UNKNOWN = "unknown"
    """It was not asked yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A look at a connector: `detail` is one line a person can act on, without secrets."""

    state: HealthState
    detail: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing a connector can do; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    risk: Risk = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """On whose behalf an operation runs: shown to the far side (application name, query tag) and kept in the audit."""

    tenant_id: str = "default"
    principal_id: str = ""
    session_id: str = ""
    label: str = "databot"


class ConnectorConfig(BaseModel):
    """Options every connector has; each connector subclasses it beside its own class."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: str


class BaseConnector(ABC):
    """A live link to one data system.

    Building it opens nothing. Every call has a time limit and raises only `ConnectorError` (or `QueryRefused`).
    Cancelling the task that awaits a call ends the work on the server.
    """

    kind: ClassVar[str]
    Config: ClassVar[type[ConnectorConfig]] = ConnectorConfig

    def __init__(self, name: str, config: Any) -> None:  # noqa: ANN401 - an instance of Config
        self.name = name
        self.config = config

    @abstractmethod
    def operations(self) -> Sequence[Operation]:
        """What it can do."""

    @abstractmethod
    async def execute(
        self, operation: str, arguments: Mapping[str, Any], context: CallContext
    ) -> Any:  # noqa: ANN401 - JSON-able, or a QueryResult
        """Run an operation; an unknown one is a `ConnectorError` of kind `unsupported` that lists the known ones."""

    @abstractmethod
    async def health(self) -> Health:
        """Ask the system, within a few seconds; never raises."""

    async def aclose(self) -> None:
        """Give all connections back. Safe to call more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table or view; `schema` is empty where the engine has none."""

    schema: str
    name: str
    kind: Literal["table", "view"] = "table"
    comment: str = ""
    row_estimate: int | None = None

    @property
    def qualified(self) -> str:
        """`schema.name`, or the bare name."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `type` in the engine's own words."""

    name: str
    type: str
    nullable: bool = True
    primary_key: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """Columns that point at another table's columns, position by position."""

    columns: tuple[str, ...]
    to_schema: str
    to_table: str
    to_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """A table with its columns and keys."""

    table: TableName
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """Rows as Arrow, with all that evidence needs.

    `statement` is the SQL that really ran. `truncated` means there were more rows or bytes than the limits allow, and
    `truncated_by` which limit it was. Duplicate column names are made unique (`n`, `n_2`).
    """

    statement: str
    table: "pa.Table"
    truncated: bool
    elapsed_ms: float
    truncated_by: Literal["", "rows", "bytes"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """Bounds of one query; a caller may only lower what the operator configured."""

    max_rows: int
    max_bytes: int
    timeout_s: float


@runtime_checkable
class SqlSource(Protocol):
    """What every SQL connector can do. `dialect` is sqlglot's name of the SQL it speaks."""

    name: str
    dialect: str

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        """Run one read-only statement."""
        ...

    async def list_schemas(self) -> Sequence[str]:
        """The schemas that hold the operator's data; system schemas are left out."""
        ...

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        """Tables and views, in name order."""
        ...

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        """Every table with its columns and keys, in one look at the catalog; cached for `schema_ttl_s`."""
        ...

    async def describe_table(self, name: str) -> TableInfo:
        """One table by bare or qualified name; `ConnectorError(kind="not_found")` names the nearest ones."""
        ...

    async def sample(self, name: str, context: CallContext, rows: int = 5) -> QueryResult:
        """The first few rows of a table."""
        ...

    async def explain(self, sql: str, context: CallContext) -> str:
        """The engine's plan, without running the statement."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorStatus:
    """A configured connector and how it is; `connector` is `None` when it could not even be built."""

    name: str
    type: str
    health: Health
    connector: BaseConnector | None = None


class Connectors(Protocol):
    """The configured connectors, as tools and retrieval see them."""

    def names(self) -> Sequence[str]:
        """All names, in configuration order."""
        ...

    def get(self, name: str) -> BaseConnector:
        """The connector; `ConnectorError(kind="not_found")` lists the names that exist."""
        ...

    def sql(self) -> Mapping[str, SqlSource]:
        """The SQL ones by name, in configuration order."""
        ...

    async def statuses(self) -> Sequence[ConnectorStatus]:
        """The health of all, asked side by side."""
        ...
