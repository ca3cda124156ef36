"""A job store that tells the workers when there is something to do: they need not wait for their next look."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from databot.dispatch.base import JobsDue, Notice
from databot.jobs.base import Job, JobState, JobStore, NewJob

Announce = Callable[[Notice], Awaitable[None]]


class AnnouncedJobs:
    """Wraps a `JobStore`; `announce` is `Dispatch.announce`."""

    def __init__(self, inner: JobStore, announce: Announce) -> None:
        self._inner = inner
        self._announce = announce

    async def enqueue(self, new: NewJob) -> Job:
        job = await self._inner.enqueue(new)
        await self._announce(JobsDue())
        return job

    async def find(self, tenant_id: str | None, job_id: str) -> Job | None:
        return await self._inner.find(tenant_id, job_id)

    async def list(
        self, tenant_id: str | None, *, state: JobState | None = None, limit: int = 50
    ) -> Sequence[Job]:
        return await self._inner.list(tenant_id, state=state, limit=limit)

    async def cancel(self, tenant_id: str | None, job_id: str) -> bool:
        return await self._inner.cancel(tenant_id, job_id)

    async def retry(self, tenant_id: str | None, job_id: str) -> bool:
        queued = await self._inner.retry(tenant_id, job_id)
        if queued:
            await self._announce(JobsDue())
        return queued

    async def counts(self) -> Mapping[JobState, int]:
        return await self._inner.counts()
