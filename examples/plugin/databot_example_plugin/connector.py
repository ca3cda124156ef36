"""The `jsonl` connector: a file of JSON lines as a data system.

    connectors:
      events: {type: jsonl, path: ./events.jsonl}

A connector has options, operations, a health, and raises `ConnectorError`s whose `kind` says what is wrong.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from databot.connectors.base import (
    BaseConnector,
    CallContext,
    ConnectorConfig,
    Health,
    HealthState,
    Operation,
)
from databot.types.errors import ConnectorError

OPERATIONS = (
    Operation(
        name="fields",
        description="The names of the fields that occur.",
        parameters={"type": "object", "properties": {}, "additionalProperties": False},
    ),
    Operation(
        name="rows",
        description="The first rows.",
        parameters={
            "type": "object",
            "properties": {"limit": {"type": "integer", "minimum": 1}},
            "additionalProperties": False,
        },
    ),
)


class JsonLinesConfig(ConnectorConfig):
    """The connector's options; unknown keys are refused when databot starts."""

    path: Path = Field(description="The file.")
    max_rows: int = Field(default=1000, ge=1, description="The most rows one call gives.")


class JsonLinesConnector(BaseConnector):
    """Reads the file anew for every call; building it opens nothing."""

    kind = "jsonl"
    Config: ClassVar[type[ConnectorConfig]] = JsonLinesConfig

    def operations(self) -> Sequence[Operation]:
        return OPERATIONS

    async def execute(
        self, operation: str, arguments: Mapping[str, Any], context: CallContext
    ) -> Any:  # noqa: ANN401 - whatever the operation gives
        del context
        known: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "fields": self._fields,
            "rows": self._rows,
        }
        if operation not in known:
            raise ConnectorError(
                f"there is no operation {operation!r}; there are: {', '.join(known)}",
                kind="unsupported",
                connector=self.name,
            )
        # Reading a file blocks, so it happens in a thread.
        return await asyncio.to_thread(known[operation], arguments)

    async def health(self) -> Health:
        if await asyncio.to_thread(self.config.path.is_file):
            return Health(state=HealthState.OK)
        return Health(state=HealthState.DOWN, detail=f"there is no file {self.config.path}")

    def _fields(self, arguments: Mapping[str, Any]) -> list[str]:
        del arguments
        rows, _ = self._read(self.config.max_rows)
        return list(dict.fromkeys(name for row in rows for name in row))

    def _rows(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        # A caller may only lower what the operator configured, and truncation is always told.
        limit = min(int(arguments.get("limit", self.config.max_rows)), self.config.max_rows)
        rows, truncated = self._read(limit)
        return {"rows": rows, "truncated": truncated}

    def _read(self, limit: int) -> tuple[list[dict[str, Any]], bool]:
        rows: list[dict[str, Any]] = []
        try:
            with self.config.path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if len(rows) == limit:
                        return rows, True
                    rows.append(self._row(line, number))
        except OSError as error:
            raise ConnectorError(
                f"the file {self.config.path} cannot be read", kind="not_found", connector=self.name
            ) from error
        return rows, False

    def _row(self, line: str, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConnectorError(
                f"line {number} is not JSON", kind="bad_request", connector=self.name
            ) from error
        return row if isinstance(row, dict) else {"value": row}
