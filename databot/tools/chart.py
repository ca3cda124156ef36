"""The `chart` tool: a query's result as a picture.

The model chooses a mark and columns; code checks them against the result and draws. Nothing the model writes is run.
"""

import asyncio
import logging
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from databot.connectors.base import Connectors, QueryLimits, QueryResult
from databot.storage.base import ArtifactStore
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.tools.cells import one_line_json
from databot.tools.chart_data import Aggregate, ChartData, ChartRequest, Mark, chart_data
from databot.tools.chart_render import ChartRenderer
from databot.tools.chart_spec import vega_lite
from databot.tools.chart_text import chart_text
from databot.tools.figures import figures_of
from databot.tools.files import file_name
from databot.tools.results import evidence_of
from databot.tools.sources import ask, choose_source
from databot.tools.sql import BACKSTOP_S
from databot.types.clock import Clock
from databot.types.errors import ToolError
from databot.types.evidence import ArtifactRef

log = logging.getLogger(__name__)
CHART_ROWS = 5_000
KINDS = {"arc": "pie", "point": "scatter", "area": "filled line"}
"""What people call a mark, where it is not its own name."""
LIMITS = QueryLimits(max_rows=CHART_ROWS, max_bytes=50_000_000, timeout_s=BACKSTOP_S)
"""The connector's own limits hold where they are lower."""


class ChartArguments(BaseModel):
    """What the model gives."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(
        min_length=1,
        max_length=100_000,
        description="The query whose rows are drawn; aggregate and sort in SQL.",
    )
    connector: str | None = Field(
        default=None, description="Which database; may be left out when there is only one."
    )
    mark: Mark = Field(
        description="bar: compare; line or area: over time; point: two numbers; arc: shares."
    )
    x: str = Field(description="The column across (for arc: what the slices are called).")
    y: str = Field(description="The column of numbers.")
    color: str | None = Field(default=None, description="The column that parts the rows in series.")
    title: str | None = Field(default=None, max_length=200, description="What the chart shows.")
    aggregate: Aggregate | None = Field(
        default=None, description="How y is combined where several rows have the same x and color."
    )


class ChartTool(BaseTool):
    """Draws a chart as SVG and PNG, and as text."""

    name = "chart"
    description = (
        "Draw a chart of one read-only SQL statement's rows: pick a mark and the columns for x and y. The person gets"
        " an image; you get the chart as text."
    )
    Arguments: ClassVar[type[BaseModel]] = ChartArguments
    effect = Effect.READ
    timeout_s = BACKSTOP_S

    def __init__(
        self,
        connectors: Connectors,
        artifacts: ArtifactStore,
        clock: Clock,
        renderer: ChartRenderer | None = None,
    ) -> None:
        self._connectors = connectors
        self._artifacts = artifacts
        self._clock = clock
        self._renderer = renderer or ChartRenderer()

    @classmethod
    def create(cls, services: ToolServices) -> Self | None:
        """There is such a tool when there is something to query."""
        if not services.connectors.sql():
            return None
        renderer = ChartRenderer(places=services.processes)
        return cls(services.connectors, services.artifacts, services.clock, renderer)

    async def run(self, arguments: ChartArguments, context: ToolContext) -> ToolResult:
        source = choose_source(self._connectors, arguments.connector)
        result = await ask(source, arguments.sql, context, LIMITS)
        data = await asyncio.to_thread(chart_data, result.table, _request(arguments))
        artifacts, problem = await self._draw(data, context)
        text = chart_text(data)
        return ToolResult(
            content="\n".join([*_told(data, result, problem), text]),
            summary=text,
            evidence=(evidence_of(result, source, self._clock),),
            artifacts=artifacts,
            figures=await asyncio.to_thread(_figures, result, data),
        )

    async def _draw(
        self, data: ChartData, context: ToolContext
    ) -> tuple[tuple[ArtifactRef, ...], str]:
        """The kept files; without an image, the reason: the text chart stands on its own."""
        spec = vega_lite(data)
        name = data.request.title or f"{data.request.y} by {data.request.x}"
        files: list[tuple[str, str, bytes]] = []
        problem = ""
        try:
            drawing = await self._renderer.draw(spec)
        except ToolError as error:
            log.warning("a chart is given as text only: %s", error)
            problem = f"There is no image: {error.message}. The chart as text:"
        else:
            files = [("svg", "image/svg+xml", drawing.svg), ("png", "image/png", drawing.png)]
        files.append(("vl.json", "application/vnd.vegalite+json", one_line_json(spec).encode()))
        kept = [
            await self._artifacts.save(context.conversation, file_name(name, form), kind, content)
            for form, kind, content in files
        ]
        return tuple(kept), problem


def _request(arguments: ChartArguments) -> ChartRequest:
    return ChartRequest(
        mark=arguments.mark,
        x=arguments.x,
        y=arguments.y,
        color=arguments.color or None,
        title=arguments.title or "",
        aggregate=arguments.aggregate,
    )


def _told(data: ChartData, result: QueryResult, problem: str) -> list[str]:
    said = [
        problem
        or f"Drew a {KINDS.get(data.request.mark, data.request.mark)} chart of {data.request.y} by {data.request.x},"
        f" {len(data.points):,} point{'' if len(data.points) == 1 else 's'}."
    ]
    if result.truncated:
        said.append(
            f"The {result.truncated_by or 'row'} limit cut the query after {result.table.num_rows:,} rows: the chart is"
            " incomplete. Aggregate in SQL, and say so."
        )
    if data.left_out:
        said.append(f"{data.left_out:,} rows without x or y are not drawn.")
    return said


def _figures(result: QueryResult, data: ChartData) -> tuple[float, ...]:
    drawn = (point.y for point in data.points) if data.request.aggregate else ()
    return tuple(dict.fromkeys([*figures_of(result), float(len(data.points)), *drawn]))
