"""The contract of SQL drivers: what one database engine must be able to do for `SQLConnector`.

A driver runs statements that were checked already, holds them read-only by the engine's own means, and ends them on
the server when the awaiting task is cancelled. It knows no guard, no cache and no model.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from databot.connectors.base import QueryLimits, TableInfo
from databot.connectors.sql.address import Address

if TYPE_CHECKING:
    import pyarrow as pa

CONNECT_TIMEOUT_S = 10
POOL_WAIT_S = 10.0
"""Longest wait for a free connection: told apart from a slow query, because the remedy is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a driver is built from. `name` is the connector's, for errors; `schemas` empty means all of the user's."""

    name: str
    address: Address
    read_only: bool = True
    pool_size: int = 4
    pool_wait_s: float = POOL_WAIT_S
    schemas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What came back of one statement, within its limits."""

    table: "pa.Table"
    truncated_by: Literal["", "rows", "bytes"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """A server that answered: `version` in its words, `warning` when it answers with more rights than it should.

    `encryption` is how the connection to it is encrypted; empty where there is no network between.
    """

    version: str
    warning: str = ""
    encryption: str = ""


class Driver(ABC):
    """One engine. Building it opens nothing; every method raises only `ConnectorError`.

    `dialect` is sqlglot's name. `explain_prefix` in front of a statement asks for its plan without running it.
    `default_schema` is where a bare name is looked for first.
    """

    dialect: str
    explain_prefix: ClassVar[str] = "EXPLAIN "
    default_schema: str = ""

    @abstractmethod
    async def run(self, statement: str, limits: QueryLimits, label: str) -> Rows:
        """Run one statement, reading at most `max_rows` rows (one more is fetched to know whether there are more).

        `label` names the caller to the server. Cancelling the awaiting task ends the statement there.
        """

    @abstractmethod
    async def introspect(self, timeout_s: float) -> Sequence[TableInfo]:
        """Every table the user may read, with columns and keys, in one catalog query; in name order."""

    @abstractmethod
    async def ping(self, timeout_s: float) -> Pong:
        """Ask the server who it is."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give connections and threads back. Safe to call more than once."""
