"""A database whose commits are timed: how long those who write wait until what they wrote is on the disk.

Wraps any `Database`; two looks at the clock for each unit are all it costs. A unit that need not be durable by itself is
committed with the next one and is not timed; nor is one that fails.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from time import perf_counter
from typing import Any

from sqlalchemy import Column, Update
from sqlalchemy.dialects.postgresql import Insert  # SQLite spells ON CONFLICT alike
from sqlalchemy.sql.expression import ClauseElement

from databot.storage.database import Action, Database, Params, Query, Row, T
from databot.storage.figures import Durations

LIMITS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CommitTimes:
    """Counts durations by how long they were."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LIMITS_S) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(LIMITS_S, seconds)] += 1
        self._seconds += seconds

    def read(self) -> Durations:
        """What was counted so far."""
        within = list(accumulate(self._counts))
        return Durations(
            within=tuple(zip(LIMITS_S, within[:-1], strict=True)),
            count=within[-1],
            seconds=self._seconds,
        )


class TimedDatabase:
    """Implements `Database` over another one; `commits` has the times."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.where = inner.where
        self.commits = CommitTimes()

    def prepare(self, statement: ClauseElement) -> Query:
        return self._inner.prepare(statement)

    def prepare_insert(self, statement: Insert, number: Column[Any]) -> Query:
        return self._inner.prepare_insert(statement, number)

    def prepare_each(self, statement: Update) -> Query:
        return self._inner.prepare_each(statement)

    async def read(self, query: Query, params: Params, decode: Callable[[Sequence[Row]], T]) -> T:
        return await self._inner.read(query, params, decode)

    async def write(self, unit: Sequence[Action], *, durable: bool = True) -> list[Sequence[Row]]:
        if not durable:
            return await self._inner.write(unit, durable=False)
        begun = perf_counter()
        rows = await self._inner.write(unit)
        self.commits.add(perf_counter() - begun)
        return rows

    async def write_each(self, query: Query, batch: Sequence[Params]) -> list[Sequence[Row]]:
        begun = perf_counter()
        rows = await self._inner.write_each(query, batch)
        self.commits.add(perf_counter() - begun)
        return rows

    async def aclose(self) -> None:
        await self._inner.aclose()
