"""The `business_days` tool: how many working days lie between two dates.

A tool is a class with a name, a description, its arguments as a pydantic model, an effect, and `run`.
"""

from datetime import date, timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult
from databot.types.errors import ToolError

LONGEST = timedelta(days=40_000)


class BusinessDaysArguments(BaseModel):
    """The model is shown this as JSON Schema, and its call is checked against it before `run`."""

    model_config = ConfigDict(extra="forbid")

    start: date = Field(description="First day, YYYY-MM-DD, counted.")
    end: date = Field(description="Last day, YYYY-MM-DD, counted.")


class BusinessDays(BaseTool):
    """Counts Mondays to Fridays. Holidays are not known to it, and it says so."""

    name = "business_days"
    description = (
        "Count the working days (Monday to Friday) from one date to another, both counted."
    )
    Arguments: ClassVar[type[BaseModel]] = BusinessDaysArguments
    effect = Effect.READ  # changes nothing: may be repeated, and run beside other reads
    timeout_s = 5.0

    async def run(self, arguments: BusinessDaysArguments, context: ToolContext) -> ToolResult:
        del context
        if arguments.end < arguments.start:
            # The text of a ToolError is read by the model: say what to do instead.
            raise ToolError("`end` lies before `start`", hint="swap them")
        if arguments.end - arguments.start > LONGEST:
            raise ToolError(f"the dates are more than {LONGEST.days} days apart")
        count = business_days(arguments.start, arguments.end)
        return ToolResult(
            content=f"{count} working days (holidays not considered).",
            summary=f"{count} working days",
            figures=(float(count),),  # what an answer may quote; the number check looks here
        )


def business_days(start: date, end: date) -> int:
    """Mondays to Fridays from `start` to `end`, both counted."""
    weeks, rest = divmod((end - start).days + 1, 7)
    return weeks * 5 + sum((start.weekday() + day) % 7 < 5 for day in range(rest))
