"""The `sql` tool: one read-only statement against a connected database.

It decides nothing about safety or limits: the connector does, for every caller. It knows how an answer is shown.
"""

from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from databot.connectors.base import Connectors
from databot.storage.base import ArtifactStore
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.tools.results import build_result
from databot.tools.sources import ask, choose_source
from databot.types.clock import Clock
from databot.types.evidence import Purpose

BACKSTOP_S = 900.0
"""The connector's own `timeout_s` is the bound of a query; this one only catches a connector that forgets it."""


class SqlArguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(
        min_length=1,
        max_length=100_000,
        description="One SELECT (or other reading) statement, in the dialect of the connector.",
    )
    connector: str | None = Field(
        default=None, description="Which database; may be left out when there is only one."
    )
    purpose: Purpose = Field(
        default="answer",
        description="`lookup` when the rows only prepare another query: spellings, distinct values.",
    )


class SqlTool(BaseTool):
    """Runs a query and shows a preview; a large result is kept whole as an artifact."""

    name = "sql"
    description = (
        "Run one read-only SQL statement and get its rows. Look at `schema` first. Aggregate in SQL: only the first"
        " rows are shown, and a limit may cut the result (it says so)."
    )
    Arguments: ClassVar[type[BaseModel]] = SqlArguments
    effect = Effect.READ
    timeout_s = BACKSTOP_S

    def __init__(self, connectors: Connectors, artifacts: ArtifactStore, clock: Clock) -> None:
        self._connectors = connectors
        self._artifacts = artifacts
        self._clock = clock

    @classmethod
    def create(cls, services: ToolServices) -> Self | None:
        """There is such a tool when there is something to query."""
        if not services.connectors.sql():
            return None
        return cls(services.connectors, services.artifacts, services.clock)

    async def run(self, arguments: SqlArguments, context: ToolContext) -> ToolResult:
        source = choose_source(self._connectors, arguments.connector)
        result = await ask(source, arguments.sql, context)
        return await build_result(
            result,
            source,
            context,
            artifacts=self._artifacts,
            clock=self._clock,
            purpose=arguments.purpose,
        )
