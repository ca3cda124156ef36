"""The `export` tool: a query's whole result as a file people can open."""

import asyncio
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from databot.connectors.base import Connectors
from databot.storage.base import ArtifactStore
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.tools.files import MEDIA_TYPES, FileFormat, file_name, to_bytes
from databot.tools.results import evidence_of, summary_of
from databot.tools.sources import ask, choose_source
from databot.tools.sql import BACKSTOP_S
from databot.types.clock import Clock


class ExportArguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(
        min_length=1, max_length=100_000, description="The query whose rows go into the file."
    )
    connector: str | None = Field(
        default=None, description="Which database; may be left out when there is only one."
    )
    format: FileFormat = Field(
        description="csv and xlsx open in spreadsheets; parquet keeps types."
    )
    name: str | None = Field(
        default=None, max_length=200, description="What the file is about, e.g. `orders 2024`."
    )


class ExportTool(BaseTool):
    """Runs a query and keeps its rows as a file. The connector's row limit holds here too, and is told."""

    name = "export"
    description = "Run one read-only SQL statement and save all its rows as a file (csv, xlsx or parquet) for the person."
    Arguments: ClassVar[type[BaseModel]] = ExportArguments
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

    async def run(self, arguments: ExportArguments, context: ToolContext) -> ToolResult:
        source = choose_source(self._connectors, arguments.connector)
        result = await ask(source, arguments.sql, context)
        data = await asyncio.to_thread(to_bytes, result.table, arguments.format)
        name = file_name(arguments.name or "export", arguments.format)
        kept = await self._artifacts.save(
            context.conversation, name, MEDIA_TYPES[arguments.format], data
        )
        rows = result.table.num_rows
        cut = (
            f" The {result.truncated_by or 'row'} limit cut the result: the database has more rows than the file. Say so."
            if result.truncated
            else ""
        )
        return ToolResult(
            content=f"Saved {rows:,} rows as {kept.name} ({kept.size:,} bytes), artifact {kept.id}.{cut}",
            summary=f"{kept.name}: {summary_of(result)}",
            evidence=(evidence_of(result, source, self._clock, kept),),
            artifacts=(kept,),
            figures=(float(rows), float(kept.size)),
        )
