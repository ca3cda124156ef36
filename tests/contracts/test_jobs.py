"""What every store of jobs and schedules promises: the real ones on both databases, and the shipped twin."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from databot.jobs.base import WORN_OUT, Job, NewJob, Schedule
from databot.types.errors import ClaimLost
from tests.storage.places import IMPLEMENTATIONS
from tests.storage.work_parts import Work, work_in

KINDS = ("count", "report")


@pytest.fixture(params=IMPLEMENTATIONS)
async def work(request: pytest.FixtureRequest) -> AsyncIterator[Work]:
    async with work_in(request.param, request) as opened:
        yield opened


async def claimed(work: Work, worker: str = "ada") -> Job:
    job = await work.claims.claim(KINDS, worker)
    assert job is not None
    return job


async def state_of(work: Work, job: Job) -> Job:
    found = await work.jobs.find(None, job.id)
    assert found is not None
    return found


async def test_a_job_is_kept_as_it_was_asked_for(work: Work) -> None:
    asked = NewJob(kind="count", tenant_id="acme", key="k", arguments={"of": ["ä", 1, None]})
    job = await work.jobs.enqueue(asked)
    assert (job.state, job.attempts, job.max_attempts) == ("queued", 0, 5)
    assert (job.kind, job.tenant_id, job.key) == ("count", "acme", "k")
    assert job.arguments == {"of": ["ä", 1, None]}
    assert (job.created_at, job.run_at) == (work.clock.now(), work.clock.now())
    assert (job.progress, job.result, job.error, job.begun_at, job.ended_at) == (None,) * 5
    assert await state_of(work, job) == job


async def test_a_key_makes_one_job_of_its_tenant_and_kind_for_ever(work: Work) -> None:
    first = await work.jobs.enqueue(NewJob(kind="count", key="k", arguments={"n": 1}))
    again = await work.jobs.enqueue(NewJob(kind="count", key="k", arguments={"n": 2}))
    assert again == first
    await work.claims.finish(await claimed(work), {})
    assert (await work.jobs.enqueue(NewJob(kind="count", key="k"))).state == "done"
    other_kind = await work.jobs.enqueue(NewJob(kind="report", key="k"))
    other_tenant = await work.jobs.enqueue(NewJob(kind="count", key="k", tenant_id="acme"))
    assert len({first.id, other_kind.id, other_tenant.id}) == 3


async def test_jobs_without_a_key_are_never_one(work: Work) -> None:
    first = await work.jobs.enqueue(NewJob(kind="count"))
    second = await work.jobs.enqueue(NewJob(kind="count"))
    assert first.id != second.id


async def test_the_same_key_from_many_at_once_is_one_job(work: Work) -> None:
    async with asyncio.timeout(60):
        made = await asyncio.gather(
            *(work.jobs.enqueue(NewJob(kind="count", key="k")) for _ in range(20))
        )
    assert len({job.id for job in made}) == 1
    assert len(await work.jobs.list("default")) == 1


async def test_the_job_due_for_longest_is_taken_first_and_none_before_its_time(work: Work) -> None:
    now = work.clock.now()
    late = await work.jobs.enqueue(NewJob(kind="count", run_at=now + timedelta(seconds=5)))
    second = await work.jobs.enqueue(NewJob(kind="count", run_at=now))
    first = await work.jobs.enqueue(NewJob(kind="report", run_at=now - timedelta(seconds=5)))
    assert (await claimed(work)).id == first.id
    assert (await claimed(work)).id == second.id
    assert await work.claims.claim(KINDS, "ada") is None
    work.clock.advance(5)
    assert (await claimed(work, "bob")).id == late.id


async def test_only_jobs_of_the_kinds_asked_for_are_taken(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    assert await work.claims.claim(("report",), "ada") is None
    assert await work.claims.claim((), "ada") is None
    assert (await claimed(work)).kind == "count"


async def test_a_job_that_is_held_is_not_taken_even_by_its_own_worker(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    assert (job.state, job.attempts, job.begun_at) == ("running", 1, work.clock.now())
    assert await work.claims.claim(KINDS, "ada") is None
    assert await work.claims.claim(KINDS, "bob") is None


async def test_many_at_once_take_each_job_once(work: Work) -> None:
    for _ in range(30):
        await work.jobs.enqueue(NewJob(kind="count"))
    async with asyncio.timeout(60):
        taken = await asyncio.gather(
            *(work.claims.claim(KINDS, f"worker {n % 3}") for n in range(40))
        )
    ids = [job.id for job in taken if job is not None]
    # One that looked at a row somebody was just taking may have come away with nothing.
    while (job := await work.claims.claim(KINDS, "late")) is not None:
        ids.append(job.id)
    assert (len(ids), len(set(ids))) == (30, 30)


async def test_a_finished_job_keeps_its_result(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    await work.claims.finish(job, {"rows": 3})
    done = await state_of(work, job)
    assert (done.state, done.result, done.error) == ("done", {"rows": 3}, None)
    assert done.ended_at == work.clock.now()
    assert await work.claims.claim(KINDS, "bob") is None


async def test_a_heartbeat_keeps_the_claim_and_the_last_progress(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    for progress in (0.5, "half way", None):
        work.clock.advance(4)
        assert await work.claims.heartbeat(job, progress) is False
    work.clock.advance(4)
    assert (await state_of(work, job)).progress == "half way"
    assert await work.claims.claim(KINDS, "bob") is None


async def test_a_worker_not_heard_of_loses_the_job_and_can_write_nothing_more(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    frozen = await claimed(work)
    await work.let_leases_end()
    taken = await claimed(work, "bob")
    assert (taken.id, taken.attempts) == (frozen.id, 2)
    assert taken.fence > frozen.fence
    for write in (
        work.claims.heartbeat(frozen, "late"),
        work.claims.finish(frozen, {"by": "ada"}),
        work.claims.fail(frozen, "late", "failed"),
        work.claims.fail(frozen, "late", work.clock.now()),
        work.claims.release(frozen),
    ):
        with pytest.raises(ClaimLost):
            await write
    await work.claims.finish(taken, {"by": "bob"})
    with pytest.raises(ClaimLost):
        await work.claims.finish(frozen, {"by": "ada"})
    assert (await state_of(work, taken)).result == {"by": "bob"}


async def test_a_failed_attempt_is_due_again_at_its_time(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    await work.claims.fail(job, "the warehouse is away", work.clock.now() + timedelta(seconds=30))
    waiting = await state_of(work, job)
    assert (waiting.state, waiting.error) == ("queued", "the warehouse is away")
    assert await work.claims.claim(KINDS, "bob") is None
    work.clock.advance(30)
    again = await claimed(work, "bob")
    assert (again.attempts, again.error) == (2, "the warehouse is away")


@pytest.mark.parametrize("end", ["failed", "dead"])
async def test_a_job_that_ended_badly_is_not_taken_until_it_is_retried(
    work: Work, end: str
) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    await work.claims.fail(job, "no such table", "failed" if end == "failed" else "dead")
    ended = await state_of(work, job)
    assert (ended.state, ended.error, ended.ended_at) == (end, "no such table", work.clock.now())
    assert await work.claims.claim(KINDS, "bob") is None
    assert await work.jobs.retry("default", job.id) is True
    again = await claimed(work, "bob")
    assert (again.id, again.attempts, again.ended_at) == (job.id, 1, None)


async def test_only_what_ended_badly_is_retried(work: Work) -> None:
    job = await work.jobs.enqueue(NewJob(kind="count"))
    assert await work.jobs.retry("default", job.id) is False
    held = await claimed(work)
    assert await work.jobs.retry("default", job.id) is False
    await work.claims.finish(held, {})
    assert await work.jobs.retry("default", job.id) is False
    assert await work.jobs.retry("default", "nothing") is False


async def test_a_released_job_is_free_at_once_and_its_attempt_does_not_count(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    await work.claims.release(await claimed(work))
    again = await claimed(work, "bob")
    assert again.attempts == 1


async def test_a_job_that_outlives_no_worker_is_dead_after_its_attempts(work: Work) -> None:
    poison = await work.jobs.enqueue(NewJob(kind="count", max_attempts=2))
    healthy = await work.jobs.enqueue(
        NewJob(kind="count", run_at=work.clock.now() + timedelta(seconds=20))
    )
    for _ in range(2):
        assert (await claimed(work)).id == poison.id
        await work.let_leases_end()
    assert (await claimed(work)).id == healthy.id  # the dead one is passed over in the same look
    dead = await state_of(work, poison)
    assert (dead.state, dead.error, dead.attempts) == ("dead", WORN_OUT, 2)
    assert dead.ended_at is not None
    assert await work.jobs.retry(None, poison.id) is True
    assert (await claimed(work)).id == poison.id


async def test_a_queued_job_is_cancelled_at_once(work: Work) -> None:
    job = await work.jobs.enqueue(NewJob(kind="count"))
    assert await work.jobs.cancel("default", job.id) is True
    assert (await state_of(work, job)).state == "cancelled"
    assert await work.claims.claim(KINDS, "ada") is None
    assert await work.jobs.cancel("default", job.id) is True  # said twice, meant once
    assert await work.jobs.retry("default", job.id) is False


async def test_whoever_runs_a_job_hears_that_it_is_to_stop(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    assert await work.jobs.cancel("default", job.id) is True
    assert (await state_of(work, job)).state == "running"
    assert await work.claims.heartbeat(job) is True
    await work.claims.fail(job, "", "cancelled")
    assert (await state_of(work, job)).state == "cancelled"


async def test_a_job_to_be_stopped_is_never_begun_again(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    left_behind = await claimed(work)
    await work.jobs.cancel("default", left_behind.id)
    await work.let_leases_end()
    assert await work.claims.claim(KINDS, "bob") is None
    assert (await state_of(work, left_behind)).state == "cancelled"

    await work.jobs.enqueue(NewJob(kind="count"))
    failing = await claimed(work)
    await work.jobs.cancel("default", failing.id)
    await work.claims.fail(failing, "broken", work.clock.now())
    assert (await state_of(work, failing)).state == "cancelled"


async def test_an_ended_job_is_not_cancelled(work: Work) -> None:
    await work.jobs.enqueue(NewJob(kind="count"))
    job = await claimed(work)
    await work.claims.finish(job, {})
    assert await work.jobs.cancel("default", job.id) is False
    assert await work.jobs.cancel("default", "nothing") is False


async def test_a_tenant_sees_and_touches_only_its_own_jobs(work: Work) -> None:
    ours = await work.jobs.enqueue(NewJob(kind="count", tenant_id="acme"))
    await work.jobs.enqueue(NewJob(kind="count", tenant_id="umbrella"))
    assert [job.id for job in await work.jobs.list("acme")] == [ours.id]
    assert len(await work.jobs.list(None)) == 2
    assert await work.jobs.find("umbrella", ours.id) is None
    assert await work.jobs.cancel("umbrella", ours.id) is False
    assert await work.jobs.retry("umbrella", ours.id) is False
    assert (await state_of(work, ours)).state == "queued"


async def test_jobs_are_listed_the_last_first_by_state_and_not_more_than_asked(work: Work) -> None:
    made: list[str] = []
    for _ in range(5):
        made.append((await work.jobs.enqueue(NewJob(kind="count"))).id)
        work.clock.advance(1)
    assert [job.id for job in await work.jobs.list("default")] == made[::-1]
    assert [job.id for job in await work.jobs.list(None, limit=2)] == made[:2:-1]
    await work.claims.finish(await claimed(work), {})
    assert [job.id for job in await work.jobs.list(None, state="done")] == [made[0]]
    assert len(await work.jobs.list("default", state="queued")) == 4
    assert list(await work.jobs.list("default", limit=0)) == []


async def test_jobs_are_counted_by_their_state(work: Work) -> None:
    assert dict(await work.jobs.counts()) == {}
    for tenant_id in ("acme", "umbrella", "acme"):
        await work.jobs.enqueue(NewJob(kind="count", tenant_id=tenant_id))
    await work.claims.fail(await claimed(work), "broken", "dead")
    assert dict(await work.jobs.counts()) == {"queued": 2, "dead": 1}


# Schedules

DAILY = Schedule(name="report", kind="report", cron="0 7 * * *", arguments={"of": "orders"})


async def test_a_schedule_is_kept_and_due_at_its_time(work: Work) -> None:
    at = work.clock.now() + timedelta(hours=1)
    await work.schedules.put(DAILY, at)
    (record,) = await work.schedules.list("default")
    assert record.schedule == DAILY
    assert (record.paused, record.next_at, record.last_at) == (False, at, None)
    assert list(await work.schedules.due(at - timedelta(seconds=1))) == []
    assert list(await work.schedules.due(at)) == [record]


async def test_firing_makes_the_job_and_moves_the_schedule_on_once(work: Work) -> None:
    at = work.clock.now()
    await work.schedules.put(DAILY, at)
    (record,) = await work.schedules.due(at)
    job = NewJob(kind="report", key="schedule:report:1", arguments={"of": "orders"})
    async with asyncio.timeout(60):
        fired = await asyncio.gather(
            *(work.schedules.fire(record, job, at + timedelta(days=1)) for _ in range(6))
        )
    assert sorted(fired) == [False] * 5 + [True]
    (made,) = await work.jobs.list("default")
    assert (made.key, made.kind, made.arguments) == (job.key, "report", {"of": "orders"})
    (after,) = await work.schedules.list(None)
    assert (after.next_at, after.last_at) == (at + timedelta(days=1), at)


async def test_putting_it_again_keeps_its_time_unless_that_is_what_changed(work: Work) -> None:
    at = work.clock.now()
    later = at + timedelta(hours=5)
    await work.schedules.put(DAILY, at)
    other_work = Schedule(name="report", kind="count", cron=DAILY.cron)
    await work.schedules.put(other_work, later)
    (record,) = await work.schedules.list("default")
    assert (record.schedule, record.next_at) == (other_work, at)
    await work.schedules.put(Schedule(name="report", kind="count", cron="0 8 * * *"), later)
    (record,) = await work.schedules.list("default")
    assert record.next_at == later


async def test_a_paused_schedule_does_not_fire_until_it_goes_on(work: Work) -> None:
    at = work.clock.now()
    await work.schedules.put(DAILY, at)
    (record,) = await work.schedules.due(at)
    assert await work.schedules.pause("default", "report", paused=True, next_at=at)
    assert list(await work.schedules.due(at)) == []
    assert not await work.schedules.fire(record, NewJob(kind="report"), at + timedelta(days=1))
    assert list(await work.jobs.list(None)) == []
    later = at + timedelta(days=2)
    assert await work.schedules.pause("default", "report", paused=False, next_at=later)
    assert list(await work.schedules.due(at)) == []
    assert len(await work.schedules.due(later)) == 1


async def test_schedules_are_each_tenants_own(work: Work) -> None:
    at = work.clock.now()
    await work.schedules.put(DAILY, at)
    await work.schedules.put(
        Schedule(name="report", kind="count", cron="0 7 * * *", tenant_id="acme"), at
    )
    assert len(await work.schedules.list(None)) == 2
    (record,) = await work.schedules.list("acme")
    assert record.schedule.kind == "count"
    assert await work.schedules.remove("acme", "report") is True
    assert await work.schedules.remove("acme", "report") is False
    assert await work.schedules.pause("acme", "report", paused=True, next_at=at) is False
    assert not await work.schedules.fire(record, NewJob(kind="count", tenant_id="acme"), at)
    assert len(await work.schedules.list(None)) == 1
