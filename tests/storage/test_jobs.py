"""Jobs in a database: what only a database can be asked."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from databot.jobs.base import NewJob, Schedule
from databot.storage.database import Action, Row
from databot.storage.open import open_database
from databot.storage.work import make_work_store
from databot.testing.clock import SequentialIds
from databot.types.errors import RequestError, StorageUnavailable
from tests.storage.parts import Place
from tests.storage.work_parts import open_work

KINDS = ("count",)


async def test_jobs_and_schedules_are_there_after_a_restart(place: Place) -> None:
    async with open_work(place) as work:
        job = await work.jobs.enqueue(NewJob(kind="count", arguments={"n": 1}))
        await work.schedules.put(Schedule(name="s", kind="count", cron="0 0 * * *"), job.run_at)
    async with open_work(place) as work:
        assert await work.jobs.find("default", job.id) == job
        assert len(await work.schedules.due(job.run_at)) == 1
        assert await work.claims.claim(KINDS, "ada") is not None


async def test_three_workers_of_their_own_connections_take_each_job_once(place: Place) -> None:
    async with open_work(place) as one, open_work(place) as two, open_work(place) as three:
        for _ in range(60):
            await one.jobs.enqueue(NewJob(kind="count"))

        async def drain(work: object, name: str) -> list[str]:
            assert isinstance(work, type(one))
            taken: list[str] = []
            while (job := await work.claims.claim(KINDS, name)) is not None:
                taken.append(job.id)
                await work.claims.finish(job, {"by": name})
            return taken

        async with asyncio.timeout(60):
            ran = await asyncio.gather(drain(one, "1"), drain(two, "2"), drain(three, "3"))
        ids = [job_id for taken in ran for job_id in taken]
        assert (len(ids), len(set(ids))) == (60, 60)
        assert len(await one.jobs.list(None, state="done", limit=100)) == 60


async def test_three_replicas_fire_a_schedule_once(place: Place) -> None:
    async with open_work(place) as one, open_work(place) as two, open_work(place) as three:
        at = place.clock.now()
        await one.schedules.put(Schedule(name="s", kind="count", cron="0 0 * * *"), at)
        replicas = (one, two, three)
        due = [(await work.schedules.due(at))[0] for work in replicas]
        job = NewJob(kind="count", key="schedule:s:1")
        async with asyncio.timeout(60):
            fired = await asyncio.gather(
                *(
                    work.schedules.fire(record, job, at + timedelta(days=1))
                    for work, record in zip(replicas, due, strict=True)
                )
            )
        assert sorted(fired) == [False, False, True]
        assert len(await one.jobs.list(None)) == 1


@pytest.mark.parametrize("name", ["a\0b", "\ud83d", "x" * 600])
async def test_a_name_no_database_can_hold_is_refused_or_not_found(place: Place, name: str) -> None:
    async with open_work(place) as work:
        for new in (
            NewJob(kind=name),
            NewJob(kind="count", key=name),
            NewJob(kind="count", tenant_id=name),
        ):
            with pytest.raises(RequestError):
                await work.jobs.enqueue(new)
        for schedule in (
            Schedule(name=name, kind="count", cron="0 0 * * *"),
            Schedule(name="s", kind="count", cron="0 0 * * *", tenant_id=name),
        ):
            with pytest.raises(RequestError):
                await work.schedules.put(schedule, place.clock.now())
        assert await work.jobs.find(None, name) is None
        assert await work.jobs.find(name, "job") is None
        assert await work.jobs.cancel(None, name) is False
        assert await work.jobs.retry(name, "job") is False
        assert list(await work.jobs.list(name)) == []
        assert list(await work.schedules.list(name)) == []
        assert await work.schedules.remove("default", name) is False
        moment = place.clock.now()
        assert await work.schedules.pause(name, "s", paused=True, next_at=moment) is False


async def test_odd_text_in_arguments_and_results_is_kept_or_mended(place: Place) -> None:
    async with open_work(place) as work:
        asked = NewJob(kind="count", arguments={"text": "nul \0 half \ud800", "n": 2**70})
        await work.jobs.enqueue(asked)
        job = await work.claims.claim(KINDS, "ada")
        assert job is not None
        assert job.arguments["text"] == "nul \0 half ?"
        await work.claims.finish(job, {"when": place.clock.now()})
        (done,) = await work.jobs.list(None)
        assert done.result == {"when": "2026-01-01T00:00:00+00:00"}


class Stuttering:
    """A database whose every write is run twice, as one is when its connection is lost after the commit."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def write(self, unit: Sequence[Action], *, durable: bool = True) -> list[Sequence[Row]]:
        await self._inner.write(unit, durable=durable)  # type: ignore[attr-defined]
        return await self._inner.write(unit, durable=durable)  # type: ignore[attr-defined]


async def test_every_write_that_is_run_twice_leaves_the_same_behind(place: Place) -> None:
    database = await open_database(place.url, exclusive=False)
    try:
        stuttering = Stuttering(database)
        work = make_work_store(
            stuttering,  # pyright: ignore[reportArgumentType] - passes everything else on
            place.data_dir,
            place.clock,
            SequentialIds(),
        )
        first = await work.jobs.enqueue(NewJob(kind="count"))
        second = await work.jobs.enqueue(NewJob(kind="count"))
        assert len(await work.jobs.list(None)) == 2
        job = await work.claims.claim(KINDS, "ada")
        assert job is not None
        assert (job.id, job.attempts) == (first.id, 1)
        assert await work.claims.heartbeat(job, 0.5) is False
        await work.claims.release(job)
        job = await work.claims.claim(KINDS, "ada")
        assert job is not None
        assert (job.id, job.attempts) == (first.id, 1)
        await work.claims.finish(job, {})
        other = await work.claims.claim(KINDS, "ada")
        assert other is not None
        assert other.id == second.id
        await work.claims.fail(other, "broken", place.clock.now())
        assert await work.jobs.cancel(None, second.id) is True
        states = {item.id: item.state for item in await work.jobs.list(None)}
        assert states == {first.id: "done", second.id: "cancelled"}
        at = place.clock.now()
        await work.schedules.put(Schedule(name="s", kind="count", cron="0 0 * * *"), at)
        (record,) = await work.schedules.due(at)
        await work.schedules.fire(record, NewJob(kind="count", key="k"), at + timedelta(days=1))
        assert len(await work.jobs.list(None, state="queued")) == 1
    finally:
        await database.aclose()


async def test_a_closed_store_says_so(place: Place) -> None:
    async with open_work(place) as work:
        pass
    with pytest.raises(StorageUnavailable):
        await work.jobs.enqueue(NewJob(kind="count"))
