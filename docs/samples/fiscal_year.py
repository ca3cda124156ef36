"""A tool: which fiscal year a date belongs to."""

from datetime import date
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from databot import BaseTool, Effect, ToolContext, ToolError, ToolResult


class FiscalYearArguments(BaseModel):
    """Shown to the model as JSON Schema; what does not fit it never reaches `run`."""

    model_config = ConfigDict(extra="forbid")

    day: date = Field(description="A day, YYYY-MM-DD.")


class FiscalYear(BaseTool):
    """Our fiscal year begins in October and is called after the year it ends in."""

    name = "fiscal_year"
    description = "Say which fiscal year a day belongs to."
    Arguments: ClassVar[type[BaseModel]] = FiscalYearArguments
    effect = Effect.READ

    async def run(self, arguments: FiscalYearArguments, context: ToolContext) -> ToolResult:
        if arguments.day.year < 2000:
            raise ToolError("fiscal years before 2000 are not recorded", hint="ask for a later day")
        year = arguments.day.year + (arguments.day.month >= 10)
        return ToolResult(content=f"FY{year}", summary=f"FY{year}", figures=(float(year),))
