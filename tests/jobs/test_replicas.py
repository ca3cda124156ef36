"""Workers that are killed, frozen and many: real processes on real databases."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from databot.jobs.base import JobContext, NewJob
from databot.jobs.worker import WorkerOptions
from databot.types.clock import SystemClock
from tests.jobs.parts import until_state, working
from tests.storage.parts import Place
from tests.storage.places import DATABASES, place_in
from tests.storage.work_parts import open_work

LEASE_S = 0.6
LIMIT_S = 60.0
OPTIONS = WorkerOptions(lease_s=LEASE_S, look_s=0.05)


@pytest.fixture(params=DATABASES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with place_in(request.param, request) as found:
        yield replace(found, clock=SystemClock())  # pyright: ignore[reportArgumentType] - as real processes have


@asynccontextmanager
async def replica(place: Place, name: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.jobs.replica"),
        *(place.url, str(place.data_dir), name, str(LEASE_S)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def heard(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_S):
        return (await process.stdout.readline()).decode().split()


async def finish(context: JobContext) -> Mapping[str, Any]:
    return {"attempt": context.job.attempts}


async def test_when_a_worker_is_killed_in_a_job_another_finishes_it(place: Place) -> None:
    async with open_work(place, lease_s=LEASE_S) as work:
        job = await work.jobs.enqueue(NewJob(kind="hold"))
        async with replica(place, "killed") as process:
            assert await heard(process) == ["begun", job.id]
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        async with working(work.claims, {"hold": finish}, SystemClock(), options=OPTIONS):
            done = await until_state(work.jobs, job, "done")
    assert done.result == {"attempt": 2}


async def test_a_worker_frozen_for_longer_than_its_lease_stops_when_it_wakes(place: Place) -> None:
    async with open_work(place, lease_s=LEASE_S) as work:
        job = await work.jobs.enqueue(NewJob(kind="hold"))
        async with replica(place, "frozen") as process:
            assert await heard(process) == ["begun", job.id]
            os.kill(process.pid, signal.SIGSTOP)
            async with working(work.claims, {"hold": finish}, SystemClock(), options=OPTIONS):
                done = await until_state(work.jobs, job, "done")
            os.kill(process.pid, signal.SIGCONT)
            assert await heard(process) == ["stopped", job.id]
            assert await work.jobs.find(None, job.id) == done
    assert done.result == {"attempt": 2}


async def test_three_workers_run_each_job_once(place: Place) -> None:
    ran: Counter[str] = Counter()

    async def count(context: JobContext) -> Mapping[str, Any]:
        ran[context.job.id] += 1
        await asyncio.sleep(0)
        return {}

    handlers = {"count": count}
    # Leases as long as in earnest: where one runs out under a slow machine, a job is rightly begun again.
    options = WorkerOptions(look_s=0.05)
    async with open_work(place) as one, open_work(place) as two, open_work(place) as three:
        made = [await one.jobs.enqueue(NewJob(kind="count")) for _ in range(40)]
        async with (
            working(one.claims, handlers, SystemClock(), name="1", options=options),
            working(two.claims, handlers, SystemClock(), name="2", options=options),
            working(three.claims, handlers, SystemClock(), name="3", options=options),
        ):
            for job in made:
                await until_state(one.jobs, job, "done")
    assert ran == Counter(job.id for job in made)
