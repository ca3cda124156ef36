"""Jobs and schedules kept in a dictionary, for tests of what makes and does them.

They honour the contracts of `databot.jobs.base`, claims, fences and leases too, and forget everything when they go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from databot.jobs.base import (
    REPEATABLE,
    WORN_OUT,
    Job,
    JobState,
    NewJob,
    Progress,
    Schedule,
    ScheduleRecord,
)
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.clock import Clock, Ids
from databot.types.errors import ClaimLost


class MemoryJobs:
    """A `JobStore` and `JobClaims`; leases last `lease_s` by the clock."""

    def __init__(
        self, clock: Clock | None = None, ids: Ids | None = None, *, lease_s: float = 10.0
    ) -> None:
        self._clock = clock or FakeClock()
        self._ids = ids or SequentialIds()
        self._lease_s = lease_s
        self._jobs: dict[str, Job] = {}
        self._leases: dict[str, float] = {}
        self._stop_asked: set[str] = set()

    async def enqueue(self, new: NewJob) -> Job:
        named = (new.tenant_id, new.kind, new.key)
        for job in self._jobs.values():
            if new.key is not None and (job.tenant_id, job.kind, job.key) == named:
                return job
        now = self._clock.now()
        job = Job(
            id=self._ids.new("job"),
            tenant_id=new.tenant_id,
            kind=new.kind,
            key=new.key,
            arguments=dict(new.arguments),
            state="queued",
            attempts=0,
            max_attempts=new.max_attempts,
            fence=0,
            run_at=new.run_at or now,
            progress=None,
            result=None,
            error=None,
            created_at=now,
            begun_at=None,
            ended_at=None,
        )
        self._jobs[job.id] = job
        return job

    async def find(self, tenant_id: str | None, job_id: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job and tenant_id in {None, job.tenant_id} else None

    async def list(
        self, tenant_id: str | None, *, state: JobState | None = None, limit: int = 50
    ) -> Sequence[Job]:
        found = [
            job
            for job in reversed(self._jobs.values())
            if tenant_id in {None, job.tenant_id} and state in {None, job.state}
        ]
        return found[: max(0, limit)]

    async def cancel(self, tenant_id: str | None, job_id: str) -> bool:
        job = await self.find(tenant_id, job_id)
        if job is None or job.state in {"done", *REPEATABLE}:
            return False
        self._stop_asked.add(job_id)
        if job.state == "queued":
            self._change(job, state="cancelled", ended_at=self._clock.now())
        return True

    async def retry(self, tenant_id: str | None, job_id: str) -> bool:
        job = await self.find(tenant_id, job_id)
        if job is None or job.state not in REPEATABLE:
            return False
        self._stop_asked.discard(job_id)
        self._change(
            job,
            state="queued",
            attempts=0,
            run_at=self._clock.now(),
            ended_at=None,
            progress=None,
        )
        return True

    async def counts(self) -> Mapping[JobState, int]:
        return Counter(job.state for job in self._jobs.values())

    async def claim(self, kinds: Sequence[str], worker: str) -> Job | None:
        del worker
        due = [job for job in self._jobs.values() if job.kind in kinds and self._is_free(job)]
        for job in sorted(due, key=lambda job: (job.run_at, job.id)):
            taken = self._take(job)
            if taken.state == "running":
                return taken
        return None

    async def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        held = self._held(job)
        self._leases[job.id] = self._clock.monotonic() + self._lease_s
        if progress is not None:
            self._change(held, progress=progress)
        return job.id in self._stop_asked

    async def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        self._end(job, "done", result=dict(result), error=None)

    async def fail(self, job: Job, error: str, end: datetime | JobState) -> None:
        if isinstance(end, datetime):
            self._queue_again(job, run_at=end, error=error)
        else:
            self._end(job, end, error=error or None)

    async def release(self, job: Job) -> None:
        self._queue_again(job, attempts=job.attempts - 1)

    def _is_free(self, job: Job) -> bool:
        if job.ended_at is not None or job.run_at > self._clock.now():
            return False
        return job.state == "queued" or self._leases[job.id] <= self._clock.monotonic()

    def _take(self, job: Job) -> Job:
        now, fence = self._clock.now(), job.fence + 1
        if job.id in self._stop_asked:
            return self._change(job, state="cancelled", ended_at=now, fence=fence)
        if job.attempts >= job.max_attempts:
            return self._change(job, state="dead", ended_at=now, fence=fence, error=WORN_OUT)
        self._leases[job.id] = self._clock.monotonic() + self._lease_s
        return self._change(
            job, state="running", attempts=job.attempts + 1, fence=fence, begun_at=now
        )

    def _held(self, job: Job) -> Job:
        found = self._jobs.get(job.id)
        if found is None or found.fence != job.fence or found.state != "running":
            raise ClaimLost(f"job {job.id}")
        return found

    def _end(self, job: Job, state: JobState, **values: Any) -> None:  # noqa: ANN401 - fields of Job
        self._change(self._held(job), state=state, ended_at=self._clock.now(), **values)

    def _queue_again(self, job: Job, **values: Any) -> None:  # noqa: ANN401 - fields of Job
        if job.id in self._stop_asked:
            self._end(job, "cancelled", **values)
        else:
            self._change(self._held(job), state="queued", **values)

    def _change(self, job: Job, **values: Any) -> Job:  # noqa: ANN401 - fields of Job
        changed = replace(job, **values)
        self._jobs[job.id] = changed
        return changed


class MemorySchedules:
    """A `ScheduleStore` that makes its jobs in `jobs`."""

    def __init__(self, jobs: MemoryJobs) -> None:
        self._jobs = jobs
        self._kept: dict[tuple[str, str], ScheduleRecord] = {}

    async def put(self, schedule: Schedule, next_at: datetime) -> None:
        key = (schedule.tenant_id, schedule.name)
        was = self._kept.get(key)
        if was is None:
            self._kept[key] = ScheduleRecord(
                schedule=schedule, paused=False, next_at=next_at, last_at=None
            )
            return
        same = (was.schedule.cron, was.schedule.timezone) == (schedule.cron, schedule.timezone)
        self._kept[key] = replace(was, schedule=schedule, next_at=was.next_at if same else next_at)

    async def list(self, tenant_id: str | None) -> Sequence[ScheduleRecord]:
        return [record for key, record in sorted(self._kept.items()) if tenant_id in {None, key[0]}]

    async def pause(self, tenant_id: str, name: str, *, paused: bool, next_at: datetime) -> bool:
        record = self._kept.get((tenant_id, name))
        if record is not None:
            self._kept[tenant_id, name] = replace(record, paused=paused, next_at=next_at)
        return record is not None

    async def remove(self, tenant_id: str, name: str) -> bool:
        return self._kept.pop((tenant_id, name), None) is not None

    async def due(self, now: datetime) -> Sequence[ScheduleRecord]:
        found = [item for item in self._kept.values() if not item.paused and item.next_at <= now]
        return sorted(found, key=lambda item: item.next_at)

    async def fire(self, record: ScheduleRecord, job: NewJob, next_at: datetime) -> bool:
        key = (record.schedule.tenant_id, record.schedule.name)
        now = self._kept.get(key)
        if now is None or now.paused or now.next_at != record.next_at:
            return False
        await self._jobs.enqueue(job)
        self._kept[key] = replace(now, next_at=next_at, last_at=record.next_at)
        return True
