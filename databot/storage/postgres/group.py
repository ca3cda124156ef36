"""Group commit: what many callers want written at the same moment goes to the server as one statement.

A write that comes alone is sent at once, as it is. Those that come while a batch is under way wait for its end and then
go together; so the batches are as large as the load makes them, and nobody waits for company. Each caller gets the
rows of its own statement; a failing one fails by itself, and one that finds its row locked waits by itself. How a statement is spelled for a batch is `batching`'s, where it
runs is `connections`'.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from databot.storage.database import Action, Params, Row
from databot.storage.postgres.batching import Batchable, Given
from databot.types.errors import StorageError, StorageUnavailable

MAX_BATCH = 256
MAX_BATCH_BYTES = 4_000_000
MAX_WAITING = 20_000
MAX_SINGLES = 4
"""So many statements are under way alone before the next ones are held for a batch."""

Run = Callable[[Sequence[Action]], Awaitable[list[Sequence[Row]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A statement that waits to be run, with its parameters by name and by position."""

    query: Batchable
    params: Params
    values: Sequence[Any]
    size: int
    future: "asyncio.Future[Sequence[Row]]"

    def end(self, result: Sequence[Row] | StorageError) -> None:
        """Tell the caller, if there still is one."""
        if self.future.done():  # it was cancelled
            return
        if isinstance(result, StorageError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


@dataclass(slots=True)
class Lane:
    """What waits for one statement, in the order it came."""

    waiting: deque[Job] = field(default_factory=deque[Job])
    busy: bool = False

    def take(self) -> list[Job]:
        """The next batch; empty when nothing waits."""
        batch: list[Job] = []
        size = 0
        while self.waiting and len(batch) < MAX_BATCH:
            size += self.waiting[0].size
            if batch and size > MAX_BATCH_BYTES:
                break
            job = self.waiting.popleft()
            if not job.future.done():
                batch.append(job)
        return batch

    def give_back(self, jobs: Sequence[Job]) -> None:
        """Put these in front, in their order."""
        self.waiting.extendleft(reversed(jobs))


class GroupCommit:
    """Runs single statements, together where several wait.

    `run` runs a unit and raises `StorageError`s; a `StorageUnavailable` of a batch is everybody's, any other error only
    somebody's: then each runs alone. `alone` does the same and asks again where the server wants a unit repeated.
    """

    def __init__(self, run: Run, alone: Run, tasks: asyncio.TaskGroup, where: str) -> None:
        self._run = run
        self._run_alone = alone
        self._tasks = tasks
        self._where = where
        self._lanes: dict[str, Lane] = {}
        self._waiting = 0
        self._singles = 0
        self._closed = False

    async def write(self, query: Batchable, params: Params) -> Sequence[Row]:
        """Run one statement and give its rows.

        Raises:
            StorageUnavailable: the store is closed, or too much waits already.
        """
        if self._closed:
            raise StorageUnavailable(f"the database {self._where} is closed")
        if self._waiting >= MAX_WAITING:
            raise StorageUnavailable(
                f"too many writes are waiting for the database {self._where}", hint="try again"
            )
        values = query.values(params)
        job = Job(
            query=query,
            params=params,
            values=values,
            size=sum(len(value) for value in values if isinstance(value, str | bytes)),
            future=asyncio.get_running_loop().create_future(),
        )
        self._waiting += 1
        try:
            self._put(job)
            return await job.future
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Take nothing more; what was taken is finished by the tasks of the group."""
        self._closed = True

    def _put(self, job: Job) -> None:
        lane = self._lanes.setdefault(job.query.sql, Lane())
        lane.waiting.append(job)
        if not lane.busy:
            lane.busy = True
            self._tasks.create_task(self._work(lane))

    async def _work(self, lane: Lane) -> None:
        """Run what waits, a batch after another, until nothing does."""
        batch: list[Job] = []
        try:
            while batch := lane.take():
                if len(batch) == 1 and self._singles < MAX_SINGLES:
                    self._each_alone(batch)
                else:
                    await self._commit(lane, batch)
        finally:
            lane.busy = False
            for job in (*batch, *lane.waiting):  # nothing is left, unless closing took too long
                job.end(StorageUnavailable(f"the database {self._where} was closed meanwhile"))
            lane.waiting.clear()

    async def _commit(self, lane: Lane, batch: list[Job]) -> None:
        query = batch[0].query
        try:
            params = query.arrays([job.values for job in batch])
            (rows,) = await self._run([(query.many, params)])
        except StorageError as error:
            if is_for_all(error):
                for job in batch:
                    job.end(StorageUnavailable(error.message, hint=error.hint))
            else:
                self._each_alone(batch)
        else:
            lane.give_back(self._deliver(batch, query.results(rows, len(batch))))

    def _deliver(self, batch: Sequence[Job], results: Sequence["list[Row] | Given"]) -> list[Job]:
        """Tell who has a result, run alone who must be, and give those that are for the next batch."""
        later: list[Job] = []
        alone: list[Job] = []
        for job, found in zip(batch, results, strict=True):
            if found == "later":
                later.append(job)
            elif found == "alone":
                alone.append(job)
            else:
                job.end(found)
        self._each_alone(alone)
        return later

    def _each_alone(self, jobs: Sequence[Job]) -> None:
        """Beside the batches: one that waits for a lock holds up nobody else."""
        self._singles += len(jobs)
        for job in jobs:
            self._tasks.create_task(self._alone(job))

    async def _alone(self, job: Job) -> None:
        try:
            (rows,) = await self._run_alone([(job.query, job.params)])
        except StorageError as error:
            job.end(error)
        else:
            job.end(rows)
        finally:
            self._singles -= 1
            job.end(StorageUnavailable(f"the database {self._where} was closed meanwhile"))


def is_for_all(error: StorageError) -> bool:
    """Whether a batch failed for the server's sake: asking again for each of it would only make them wait longer."""
    from databot.storage.postgres.errors import is_repeatable

    return isinstance(error, StorageUnavailable) and not is_repeatable(error.__cause__)
