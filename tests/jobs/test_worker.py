import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from databot.jobs.base import Job, JobContext, JobRefused, NewJob, Progress
from databot.jobs.worker import WorkerOptions
from databot.testing.clock import FakeClock
from databot.testing.memory_jobs import MemoryJobs
from databot.types.errors import ConfigError, ConnectorError, StorageError, StorageUnavailable
from tests.jobs.parts import LIMIT_S, Steps, until, until_state, working

NEW = NewJob(kind="count")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def jobs(clock: FakeClock) -> MemoryJobs:
    return MemoryJobs(clock)


async def quick(context: JobContext) -> Mapping[str, Any]:
    return {"of": context.arguments.get("of")}


async def test_a_job_is_done_and_its_result_kept(jobs: MemoryJobs, clock: FakeClock) -> None:
    job = await jobs.enqueue(NewJob(kind="count", arguments={"of": "orders"}))
    async with working(jobs, {"count": quick}, clock):
        done = await until_state(jobs, job, "done")
    assert (done.result, done.attempts) == ({"of": "orders"}, 1)


async def test_a_worker_that_waits_is_woken_by_the_news(jobs: MemoryJobs, clock: FakeClock) -> None:
    async with working(jobs, {"count": quick}, clock) as worker:
        await clock.until_sleeping()
        job = await jobs.enqueue(NEW)
        worker.wake()
        await until_state(jobs, job, "done")
    assert clock.monotonic() == 0


async def test_without_news_it_looks_every_second(jobs: MemoryJobs, clock: FakeClock) -> None:
    async with working(jobs, {"count": quick}, clock):
        await clock.until_sleeping()
        job = await jobs.enqueue(NEW)
        clock.advance(1)
        await until_state(jobs, job, "done")


async def test_it_runs_no_more_at_once_than_it_has_places(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    steps = Steps()
    made = [await jobs.enqueue(NEW) for _ in range(5)]
    options = WorkerOptions(places=2)
    async with working(jobs, {"count": steps}, clock, options=options) as worker:
        await steps.begun.acquire()
        await steps.begun.acquire()
        worker.wake()
        await clock.until_sleeping()
        running = await jobs.list(None, state="running")
        assert len(running) == 2
        steps.go_on.set()
        for job in made:
            await until_state(jobs, job, "done")
    assert steps.ran == [job.id for job in made]


async def test_a_failed_attempt_is_tried_again_after_a_wait_that_grows(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    async def fails(context: JobContext) -> Mapping[str, Any]:
        raise ConnectorError("the warehouse is away")

    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": fails}, clock, chance=lambda: 0.5) as worker:
        for attempt, wait_s in enumerate((2.5, 5, 10, 20), start=1):
            waiting = await until(
                jobs, job, lambda j, n=attempt: (j.state, j.attempts) == ("queued", n)
            )
            assert waiting.run_at - clock.now() == timedelta(seconds=wait_s)
            assert waiting.error == "the warehouse is away"
            clock.advance(wait_s)
            worker.wake()
        dead = await until_state(jobs, job, "dead")
    assert (dead.attempts, dead.error) == (5, "the warehouse is away")


@pytest.mark.parametrize("error", [JobRefused("no such tenant"), ConfigError("no such tenant")])
async def test_what_cannot_be_done_as_asked_fails_at_once(
    jobs: MemoryJobs, clock: FakeClock, error: Exception
) -> None:
    async def refuses(context: JobContext) -> Mapping[str, Any]:
        raise error

    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": refuses}, clock):
        failed = await until_state(jobs, job, "failed")
    assert (failed.attempts, failed.error) == (1, "no such tenant")


async def test_a_secret_in_a_strange_error_is_not_kept(jobs: MemoryJobs, clock: FakeClock) -> None:
    async def breaks(context: JobContext) -> Mapping[str, Any]:
        raise ValueError("password=hunter2")

    job = await jobs.enqueue(NewJob(kind="count", max_attempts=1))
    async with working(jobs, {"count": breaks}, clock):
        dead = await until_state(jobs, job, "dead")
    assert dead.error == "something went wrong inside databot; the log has the details"


@pytest.mark.parametrize(
    "trouble", [ExceptionGroup("two", [ValueError()]), None, asyncio.CancelledError()]
)
async def test_however_a_job_breaks_the_next_one_is_done(
    jobs: MemoryJobs, clock: FakeClock, trouble: BaseException | None
) -> None:
    async def odd(context: JobContext) -> Mapping[str, Any]:
        if trouble is not None:
            raise trouble
        return cast("Mapping[str, Any]", None)  # a handler without a result

    bad = await jobs.enqueue(NewJob(kind="odd", max_attempts=1))
    good = await jobs.enqueue(NEW)
    async with working(jobs, {"odd": odd, "count": quick}, clock):
        await until_state(jobs, good, "done")
        await until_state(jobs, bad, "dead")


async def test_a_cancelled_job_is_stopped_at_the_next_heartbeat(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    steps = Steps()
    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": steps}, clock):
        await steps.begun.acquire()
        await clock.until_sleeping(2)  # the worker's look and the heartbeat
        assert await jobs.cancel(None, job.id)
        clock.advance(4)
        cancelled = await until_state(jobs, job, "cancelled")
    assert steps.stopped == [job.id]
    assert cancelled.error is None


async def test_a_handler_that_fails_while_it_is_stopped_is_cancelled_all_the_same(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    begun = asyncio.Event()

    async def stubborn(context: JobContext) -> Mapping[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": stubborn}, clock):
        await begun.wait()
        await clock.until_sleeping(2)
        await jobs.cancel(None, job.id)
        clock.advance(4)
        await until_state(jobs, job, "cancelled")


async def test_a_cancelled_handler_hears_of_it_where_it_tells_its_progress(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    go_on = asyncio.Event()
    told: list[str] = []

    async def counting(context: JobContext) -> Mapping[str, Any]:
        await go_on.wait()
        await context.progress(0.1)
        told.append("after")
        return {}

    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": counting}, clock):
        await until_state(jobs, job, "running")
        await jobs.cancel(None, job.id)
        go_on.set()
        await until_state(jobs, job, "cancelled")
    assert told == []


class Counting(MemoryJobs):
    """Counts heartbeats."""

    beats = 0

    async def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        self.beats += 1
        return await super().heartbeat(job, progress)


async def test_progress_is_kept_but_not_written_more_than_once_a_second(clock: FakeClock) -> None:
    jobs = Counting(clock)
    said, go_on = asyncio.Event(), asyncio.Event()

    async def counting(context: JobContext) -> Mapping[str, Any]:
        for number in range(1000):
            await context.progress(number / 1000)
        said.set()
        await go_on.wait()
        return {}

    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": counting}, clock):
        await said.wait()
        assert jobs.beats == 1
        assert (await until(jobs, job, lambda _: True)).progress == 0.0
        await clock.until_sleeping(2)
        clock.advance(4)
        await until(jobs, job, lambda found: found.progress == 0.999)
        go_on.set()
        await until_state(jobs, job, "done")


async def test_every_attempt_has_the_same_key_for_the_far_side(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    keys: list[str] = []

    async def once_more(context: JobContext) -> Mapping[str, Any]:
        keys.append(context.idempotency_key)
        if context.job.attempts == 1:
            raise ConnectorError("away")
        return {}

    job, other = await jobs.enqueue(NEW), await jobs.enqueue(NEW)
    async with working(jobs, {"count": once_more}, clock, chance=lambda: 0.0) as worker:
        for each in (job, other):
            await until(jobs, each, lambda found: found.attempts > 0)
        worker.wake()
        await until_state(jobs, job, "done")
        await until_state(jobs, other, "done")
    assert len(keys) == 4
    assert len(set(keys)) == 2


async def test_a_frozen_worker_finds_its_claim_lost_and_writes_nothing(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    frozen, quick_one = Steps(), Steps()
    quick_one.go_on.set()
    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": frozen}, clock, name="frozen"):
        await frozen.begun.acquire()
        await clock.until_sleeping(2)
        # Nothing of it runs for two leases; then somebody else is faster.
        taken = await take_after_the_lease(jobs, clock)
        assert taken.attempts == 2
        await until(jobs, job, lambda _: bool(frozen.stopped))
        await jobs.finish(taken, {"by": "other"})
        done = await until_state(jobs, job, "done")
    assert done.result == {"by": "other"}
    assert frozen.ran == []


async def take_after_the_lease(jobs: MemoryJobs, clock: FakeClock) -> Job:
    """Take the job in the same instant in which the time has moved on: no other task has run in between."""
    clock.advance(20)
    taken = await jobs.claim(["count"], "other")
    assert taken is not None
    return taken


async def test_a_handler_that_ends_after_its_claim_was_lost_changes_nothing(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    steps = Steps()
    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": steps}, clock):
        await steps.begun.acquire()
        taken = await take_after_the_lease(jobs, clock)
        steps.go_on.set()
        await jobs.finish(taken, {"by": "other"})
        await clock.until_sleeping()
        found = await until_state(jobs, job, "done")
    assert found.result == {"by": "other"}


class Failing(MemoryJobs):
    """Each operation fails while it is in `broken`."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.broken: dict[str, Exception] = {}

        self.tried: list[str] = []

    def _check(self, name: str) -> None:
        self.tried.append(name)
        if name in self.broken:
            raise self.broken[name]

    async def claim(self, kinds: Sequence[str], worker: str) -> Job | None:
        self._check("claim")
        return await super().claim(kinds, worker)

    async def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        self._check("heartbeat")
        return await super().heartbeat(job, progress)

    async def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        self._check("finish")
        await super().finish(job, result)

    async def release(self, job: Job) -> None:
        self._check("release")
        await super().release(job)


@pytest.mark.parametrize("error", [StorageUnavailable("away"), ValueError("odd")])
async def test_a_store_that_is_away_stops_nobody_for_good(
    clock: FakeClock, error: Exception
) -> None:
    jobs = Failing(clock)
    job = await jobs.enqueue(NEW)
    jobs.broken["claim"] = error
    async with working(jobs, {"count": quick}, clock):
        await clock.until_sleeping()
        jobs.broken.clear()
        clock.advance(1)
        await until_state(jobs, job, "done")


async def test_an_end_is_kept_as_soon_as_the_store_is_back(clock: FakeClock) -> None:
    jobs = Failing(clock)
    job = await jobs.enqueue(NEW)
    jobs.broken["finish"] = StorageUnavailable("away")
    async with working(jobs, {"count": quick}, clock):
        await clock.until_sleeping(2)  # the worker's look, and the wait for the store
        jobs.broken.clear()
        clock.advance(1)
        done = await until_state(jobs, job, "done")
    assert done.attempts == 1


async def test_an_end_that_cannot_be_kept_leaves_the_job_to_its_lease(clock: FakeClock) -> None:
    jobs = Failing(clock)
    job = await jobs.enqueue(NEW)
    jobs.broken["finish"] = StorageError("the result does not fit")
    async with working(jobs, {"count": quick}, clock) as worker:
        await until(jobs, job, lambda _: "finish" in jobs.tried)
        jobs.broken.clear()
        clock.advance(11)
        worker.wake()
        done = await until_state(jobs, job, "done")
    assert done.attempts == 2


async def test_a_worker_without_heartbeats_ends_its_work_when_the_lease_is_over(
    clock: FakeClock,
) -> None:
    jobs = Failing(clock)
    steps = Steps()
    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": steps}, clock):
        await steps.begun.acquire()
        jobs.broken["heartbeat"] = StorageUnavailable("away")
        for _ in range(3):
            assert steps.stopped == []
            await clock.until_sleeping(2)
            clock.advance(4)
            await asyncio.sleep(0)
        await until(jobs, job, lambda _: steps.stopped == [job.id])
    assert steps.ran == []


async def test_a_worker_that_stops_takes_no_more_and_lets_its_jobs_end(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    steps = Steps()
    first, second = await jobs.enqueue(NEW), await jobs.enqueue(NEW)
    async with working(jobs, {"count": steps}, clock, options=WorkerOptions(places=1)) as worker:
        await steps.begun.acquire()
        worker.stop()
        await until(jobs, first, lambda _: 25.0 in clock.slept)
        steps.go_on.set()
        await until_state(jobs, first, "done")
    assert (await until_state(jobs, second, "queued")).attempts == 0


async def test_what_does_not_end_in_time_is_let_go_of_for_others(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    slow, other = Steps(), Steps()
    other.go_on.set()
    job = await jobs.enqueue(NEW)
    async with working(jobs, {"count": slow}, clock, name="slow") as worker:
        await slow.begun.acquire()
        worker.stop()
        await until(jobs, job, lambda _: 25.0 in clock.slept)
        for _ in range(7):  # heartbeats go on meanwhile
            await clock.until_sleeping(2)
            clock.advance(4)
        await until_state(jobs, job, "queued")
    assert slow.stopped == [job.id]
    async with working(jobs, {"count": other}, clock, name="other"):
        done = await until_state(jobs, job, "done")
    assert done.result == {"attempt": 1}


@pytest.mark.parametrize("trouble", [None, StorageUnavailable("away")])
async def test_a_cancelled_worker_lets_go_at_once(
    clock: FakeClock, trouble: Exception | None
) -> None:
    jobs = Failing(clock)
    steps = Steps()
    job = await jobs.enqueue(NEW)
    if trouble is not None:
        jobs.broken["release"] = trouble
    async with asyncio.timeout(LIMIT_S), working(jobs, {"count": steps}, clock):
        await steps.begun.acquire()
    found = await jobs.find(None, job.id)
    assert found is not None
    assert found.state == ("queued" if trouble is None else "running")


async def test_an_idle_worker_stops_at_once(jobs: MemoryJobs, clock: FakeClock) -> None:
    async with working(jobs, {"count": quick}, clock) as worker:
        await clock.until_sleeping()
        worker.stop()
