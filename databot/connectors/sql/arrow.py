"""Rows into Arrow, within limits.

Chunks come in as the engine yields them; the intake says how many rows to ask for next, stops at the row and byte limits
and knows whether something was left out. A value no Arrow type fits is kept as text: a result never fails for its types.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pyarrow as pa

from databot.connectors.base import QueryLimits
from databot.connectors.sql.driver import Rows
from databot.connectors.sql.values import plain, text
from databot.connectors.sql.widen import join_columns, plain_arrow

FIRST_ROWS = 32
MOST_ROWS = 2000
CHUNK_BYTES = 512 * 1024
"""What one chunk should weigh: wide rows are fetched a few at a time, so the byte limit also bounds memory."""

_CAST_PROBLEMS = (pa.ArrowException, OverflowError, ValueError, TypeError)


class Intake:
    """Collects one result. `types` are the engine's declared types, `None` where the values decide."""

    def __init__(
        self, names: Sequence[str], limits: QueryLimits, types: Sequence[Any] | None = None
    ) -> None:
        self._names = unique_names(names)
        self._types = list(types) if types is not None else [None] * len(self._names)
        self._limits = limits
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0
        self._cut: Literal["", "rows", "bytes"] = ""

    @property
    def wanted(self) -> int:
        """Rows to fetch next: never more than the limit and one; 0 when nothing more is wanted."""
        if self._cut:
            return 0
        return min(self._limits.max_rows + 1 - self._rows, self._chunk_rows())

    def _chunk_rows(self) -> int:
        if not self._rows:
            return FIRST_ROWS
        fitting = CHUNK_BYTES * self._rows // max(self._bytes, 1)
        return max(1, min(MOST_ROWS, fitting, 8 * self._rows))

    def add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take rows as tuples of Python values."""
        columns = [
            to_array([row[index] for row in rows], wish) for index, wish in enumerate(self._types)
        ]
        if columns:
            self.add(pa.RecordBatch.from_arrays(columns, names=self._names))

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch; what passes a limit is cut off and remembered as cut."""
        room = self._limits.max_rows - self._rows
        if batch.num_rows > room:
            batch = batch.slice(0, room)
            self._cut = "rows"
        fitting = rows_within(batch, self._limits.max_bytes - self._bytes)
        if fitting < batch.num_rows:
            batch = batch.slice(0, fitting)
            self._cut = "bytes"
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def finish(self) -> Rows:
        """Everything taken, as one table."""
        columns: list[pa.ChunkedArray] = []
        for index, wish in enumerate(self._types):
            chunks = [batch.column(index) for batch in self._batches]
            columns.append(join_columns(chunks, wish))
        table = pa.table(columns, names=self._names) if columns else pa.table({})
        return Rows(table=table, truncated_by=self._cut)


def intake_of(schema: pa.Schema, limits: QueryLimits) -> Intake:
    """An intake for an engine that yields Arrow itself; batches are to pass `simplified` first."""
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    return Intake(schema.names, limits, [column.type for column in simplified(empty).columns])


def simplified(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with engine-specific Arrow types (intervals, maps, unions, extensions …) as plain ones."""
    return pa.RecordBatch.from_arrays(
        [plain_arrow(column) for column in batch.columns], names=batch.schema.names
    )


def to_array(values: Sequence[Any], wish: Any = None) -> pa.Array:  # noqa: ANN401 - a pyarrow DataType
    """The values as `wish`, else as the type they have, else as text."""
    if wish is not None:
        try:
            return pa.array(values, type=wish)
        except _CAST_PROBLEMS:
            pass  # e.g. a date the engine allows and Python does not: the values decide below
    try:
        return pa.array([plain(value) for value in values])
    except _CAST_PROBLEMS:
        return pa.array([text(value) for value in values], type=pa.string())


def rows_within(batch: pa.RecordBatch, room: int) -> int:
    """How many leading rows weigh at most `room` bytes."""
    if batch.nbytes <= room:
        return batch.num_rows
    low, high = 0, batch.num_rows
    while low < high:
        middle = (low + high + 1) // 2
        if batch.slice(0, middle).nbytes <= room:
            low = middle
        else:
            high = middle - 1
    return low


def unique_names(names: Iterable[str]) -> list[str]:
    """Column names made unique and non-empty: `n`, `n_2`; a name of the query's own is never taken from it."""
    wanted = [name or f"column_{place}" for place, name in enumerate(map(str, names), start=1)]
    taken = set(wanted)
    seen: set[str] = set()
    unique: list[str] = []
    for name in wanted:
        unique.append(free_name(name, taken) if name in seen else name)
        seen.add(name)
        taken.add(unique[-1])
    return unique


def free_name(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
