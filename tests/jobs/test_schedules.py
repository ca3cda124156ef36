import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from databot.dispatch.base import JobsDue, Notice
from databot.jobs.announced import AnnouncedJobs
from databot.jobs.base import Job, NewJob, Schedule, ScheduleRecord
from databot.jobs.schedules import Scheduler
from databot.testing.clock import FakeClock
from databot.testing.memory_jobs import MemoryJobs, MemorySchedules
from databot.types.errors import ConfigError, NotFound, StorageUnavailable

DAILY = Schedule(name="report", kind="report", cron="0 7 * * *", arguments={"of": "orders"})
DAY_S = 86_400.0
SEVEN_S = 7 * 3600.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def jobs(clock: FakeClock) -> MemoryJobs:
    return MemoryJobs(clock)


@pytest.fixture
def store(jobs: MemoryJobs) -> MemorySchedules:
    return MemorySchedules(jobs)


async def made(jobs: MemoryJobs) -> Sequence[Job]:
    return (await jobs.list(None))[::-1]


async def test_a_job_is_made_when_its_time_has_come_and_not_before(
    jobs: MemoryJobs, store: MemorySchedules, clock: FakeClock
) -> None:
    scheduler = Scheduler(store, clock)
    await scheduler.put(DAILY)
    clock.advance(SEVEN_S - 1)
    assert await scheduler.fire_due() == 0
    clock.advance(1)
    assert await scheduler.fire_due() == 1
    assert await scheduler.fire_due() == 0
    (job,) = await made(jobs)
    assert (job.kind, job.arguments) == ("report", {"of": "orders"})
    assert job.key == "schedule:report:2026-01-01T07:00:00+00:00"
    clock.advance(DAY_S)
    assert await scheduler.fire_due() == 1


async def test_of_what_was_missed_only_the_latest_is_made_up(
    jobs: MemoryJobs, store: MemorySchedules, clock: FakeClock
) -> None:
    scheduler = Scheduler(store, clock)
    await scheduler.put(DAILY)
    clock.advance(10 * DAY_S)
    assert await scheduler.fire_due() == 1
    assert await scheduler.fire_due() == 0
    (job,) = await made(jobs)
    assert job.key == "schedule:report:2026-01-10T07:00:00+00:00"
    (record,) = await store.list(None)
    assert record.next_at == clock.now() + timedelta(hours=7)


async def test_a_year_of_missed_minutes_costs_no_more_than_one(
    jobs: MemoryJobs, store: MemorySchedules, clock: FakeClock
) -> None:
    scheduler = Scheduler(store, clock)
    await scheduler.put(Schedule(name="often", kind="report", cron="* * * * *"))
    clock.advance(365 * DAY_S)
    async with asyncio.timeout(5):  # half a million steps would take minutes
        assert await scheduler.fire_due() == 1
    assert len(await made(jobs)) == 1


async def test_several_replicas_make_one_job(
    jobs: MemoryJobs, store: MemorySchedules, clock: FakeClock
) -> None:
    replicas = [Scheduler(store, clock) for _ in range(3)]
    for scheduler in replicas:  # each puts its own built-in schedules at start
        await scheduler.put(DAILY)
    clock.advance(SEVEN_S)
    assert sum([await scheduler.fire_due() for scheduler in replicas]) == 1
    assert len(await made(jobs)) == 1


async def test_a_clock_that_is_set_back_fires_nothing_twice(
    jobs: MemoryJobs, store: MemorySchedules, clock: FakeClock
) -> None:
    await Scheduler(store, clock).put(DAILY)
    clock.advance(SEVEN_S)
    await Scheduler(store, clock).fire_due()
    earlier = FakeClock(clock.now() - timedelta(hours=1))
    scheduler = Scheduler(store, earlier)
    await scheduler.put(DAILY)
    earlier.advance(3600)
    assert await scheduler.fire_due() == 0
    assert len(await made(jobs)) == 1


async def test_a_paused_schedule_makes_nothing_and_makes_nothing_up(
    jobs: MemoryJobs, store: MemorySchedules, clock: FakeClock
) -> None:
    scheduler = Scheduler(store, clock)
    await scheduler.put(DAILY)
    await scheduler.pause("default", "report", paused=True)
    clock.advance(3 * DAY_S)
    assert await scheduler.fire_due() == 0
    await scheduler.pause("default", "report", paused=False)
    assert await scheduler.fire_due() == 0
    clock.advance(SEVEN_S)
    assert await scheduler.fire_due() == 1
    assert len(await made(jobs)) == 1
    with pytest.raises(NotFound):
        await scheduler.pause("default", "nothing", paused=True)


async def test_a_schedule_that_never_comes_is_refused(
    store: MemorySchedules, clock: FakeClock
) -> None:
    with pytest.raises(ConfigError):
        await Scheduler(store, clock).put(Schedule(name="s", kind="k", cron="0 0 31 2 *"))
    assert list(await store.list(None)) == []


async def test_a_schedule_nobody_can_read_holds_up_no_other_and_is_told_of_once(
    jobs: MemoryJobs,
    store: MemorySchedules,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler = Scheduler(store, clock)
    await store.put(Schedule(name="a", kind="k", cron="by hand"), clock.now())
    await scheduler.put(DAILY)
    clock.advance(SEVEN_S)
    assert await scheduler.fire_due() == 1
    clock.advance(DAY_S)
    assert await scheduler.fire_due() == 1
    told = [item.getMessage() for item in caplog.records if item.levelname == "ERROR"]
    assert len(told) == 1
    assert "schedule a is not kept" in told[0]


class Away(MemorySchedules):
    """A store that does not answer the first times."""

    def __init__(self, jobs: MemoryJobs, *errors: Exception) -> None:
        super().__init__(jobs)
        self._errors = list(errors)

    async def due(self, now: datetime) -> Sequence[ScheduleRecord]:
        if self._errors:
            raise self._errors.pop()
        return await super().due(now)


async def test_it_looks_every_second_and_outlives_a_store_that_is_away(
    jobs: MemoryJobs, clock: FakeClock
) -> None:
    store = Away(jobs, ValueError("odd"), StorageUnavailable("away"))
    scheduler = Scheduler(store, clock)
    await scheduler.put(DAILY)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        run = group.create_task(scheduler.run())
        await clock.until_sleeping()
        clock.advance(SEVEN_S)
        await clock.until_sleeping()
        clock.advance(1)
        await clock.until_sleeping()
        run.cancel()
    assert len(await made(jobs)) == 1
    assert set(clock.slept) == {1.0}


async def test_what_is_asked_for_is_announced(jobs: MemoryJobs) -> None:
    told: list[Notice] = []

    async def announce(notice: Notice) -> None:
        told.append(notice)

    announced = AnnouncedJobs(jobs, announce)
    job = await announced.enqueue(NewJob(kind="count"))
    assert told == [JobsDue()]
    assert await announced.find(None, job.id) == job
    assert list(await announced.list(None)) == [job]
    assert await announced.retry(None, job.id) is False
    assert len(told) == 1
    held = await jobs.claim(["count"], "ada")
    assert held is not None
    await jobs.fail(held, "broken", "dead")
    assert await announced.retry(None, job.id) is True
    assert len(told) == 2
    assert dict(await announced.counts()) == {"queued": 1}
    assert await announced.cancel(None, job.id) is True
