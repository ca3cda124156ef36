"""The `schema` tool: what tables and columns the connected databases have.

The first line of the answer is one JSON document (see `schema_document`); models read it, and so does the offline
analyst. Remarks in words follow it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from databot.connectors.base import Connectors, SqlSource
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.tools.schema_document import Catalog, describe_catalogs
from databot.tools.schema_search import matching
from databot.tools.sources import choose_sources
from databot.types.errors import ConnectorError, describe

DEFAULT_SCHEMAS = {
    "postgres": "public",
    "redshift": "public",
    "duckdb": "main",
    "sqlite": "main",
    "tsql": "dbo",
}


class SchemaArguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    connector: str | None = Field(
        default=None, description="Which database; left out: all of them."
    )
    table: str | None = Field(
        default=None, description="One table by name, with the comments of its columns."
    )
    search: str | None = Field(
        default=None,
        max_length=500,
        description="Words to look for in table and column names; the best matches come first.",
    )


class SchemaTool(BaseTool):
    """Lists tables with their columns, keys, row estimates and comments."""

    name = "schema"
    description = (
        "List the tables and columns of the connected databases: names, types, primary and foreign keys, row"
        " estimates. Use it before writing SQL; use `search` when there are many tables."
    )
    Arguments: ClassVar[type[BaseModel]] = SchemaArguments
    effect = Effect.READ
    timeout_s = 120.0

    def __init__(self, connectors: Connectors) -> None:
        self._connectors = connectors

    @classmethod
    def create(cls, services: ToolServices) -> Self | None:
        """There is such a tool when there is something to describe."""
        return cls(services.connectors) if services.connectors.sql() else None

    async def run(self, arguments: SchemaArguments, context: ToolContext) -> ToolResult:
        del context
        sources = choose_sources(self._connectors, arguments.connector)
        looks = await asyncio.gather(
            *(_look(source, arguments.table or None) for source in sources.values())
        )
        catalogs = [look for look in looks if isinstance(look, Catalog)]
        failures = [look for look in looks if isinstance(look, ConnectorError)]
        if not catalogs:
            raise failures[0]
        notes = [_note(failure) for failure in failures if _worth_telling(failure, arguments)]
        return await asyncio.to_thread(_result, catalogs, notes, arguments)


async def _look(source: SqlSource, table: str | None) -> Catalog | ConnectorError:
    """What the source says it has, or why it does not say: one that is down hides no other."""
    try:
        tables = [await source.describe_table(table)] if table else await source.describe()
        default = await _default_schema(source)
    except ConnectorError as error:
        return error
    return Catalog(
        connector=source.name, dialect=source.dialect, tables=tuple(tables), default_schema=default
    )


async def _default_schema(source: SqlSource) -> str:
    """The schema whose tables need no prefix; in MySQL it is the database, when there is only one."""
    if source.dialect in DEFAULT_SCHEMAS:
        return DEFAULT_SCHEMAS[source.dialect]
    schemas = await source.list_schemas()
    return schemas[0] if len(schemas) == 1 else ""


def _worth_telling(failure: ConnectorError, arguments: SchemaArguments) -> bool:
    """With one table asked for, that the other databases do not have it is no news."""
    return not (arguments.table and failure.kind == "not_found")


def _note(failure: ConnectorError) -> str:
    name = failure.connector or "a connector"
    return f"{name} could not be read: {describe(failure)}"


def _result(
    catalogs: Sequence[Catalog], notes: Sequence[str], arguments: SchemaArguments
) -> ToolResult:
    if arguments.search:
        catalogs, remarks = matching(catalogs, arguments.search)
        notes = [*remarks, *notes]
    described = describe_catalogs(catalogs, with_comments=bool(arguments.table))
    count = sum(len(catalog.tables) for catalog in catalogs)
    if not count:
        notes = ["There are no tables.", *notes]
    return ToolResult(
        content="\n".join([*described, *notes]),
        summary=f"{count:,} table{'' if count == 1 else 's'}",
        figures=(float(count), *_figures(catalogs)),
    )


def _figures(catalogs: Sequence[Catalog]) -> Iterator[float]:
    """How many tables, columns and rows there are."""
    for catalog in catalogs:
        yield float(len(catalog.tables))
        for info in catalog.tables:
            yield float(len(info.columns))
            if info.table.row_estimate is not None:
                yield float(info.table.row_estimate)
