"""What tests of the worker are made of: handlers a test holds in its hand, and a worker that is ended with the test."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from databot.jobs.base import Job, JobClaims, JobContext, JobState, JobStore
from databot.jobs.worker import JobWorker, WorkerOptions
from databot.types.backoff import Chance, some_chance
from databot.types.clock import Clock

LIMIT_S = 30.0


class Steps:
    """A handler that says when it has begun and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.stopped: list[str] = []
        self.ran: list[str] = []

    async def __call__(self, context: JobContext) -> Mapping[str, Any]:
        self.begun.release()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped.append(context.job.id)
            raise
        self.ran.append(context.job.id)
        return {"attempt": context.job.attempts}


@asynccontextmanager
async def working(
    claims: JobClaims,
    handlers: Mapping[str, Any],
    clock: Clock,
    *,
    name: str = "ada",
    options: WorkerOptions | None = None,
    chance: Chance = some_chance,
) -> AsyncGenerator[JobWorker]:
    """A worker that runs beside the test; what still runs at its end is cancelled."""
    worker = JobWorker(claims, handlers, clock, name, options=options, chance=chance)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        run = group.create_task(worker.run())
        yield worker
        run.cancel()


async def until_state(jobs: JobStore, job: Job, *states: JobState) -> Job:
    """Wait until the job is in one of the states; bounded by the caller."""
    return await until(jobs, job, lambda found: found.state in states)


async def until(jobs: JobStore, job: Job, holds: Callable[[Job], bool]) -> Job:
    while True:
        found = await jobs.find(None, job.id)
        if found is not None and holds(found):
            return found
        await asyncio.sleep(0)
