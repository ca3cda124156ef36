"""The contracts of background work: jobs, who runs them, and the schedules that make them.

A job is a row: it outlives every process. A worker claims it for the length of a lease and renews that while the work
goes on; a claim raises the job's fence, and whoever writes with an older one is told that the claim is lost. So the work
of a kind is done at least once and its end is recorded once; what it does outside the store must bear being repeated,
and has `JobContext.idempotency_key` to say that it is. Not here: turns, which have their own queue (`databot.core`).

A tenant of `None` means every tenant. It is for the operator of the machine and never comes from a request.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from databot.types.errors import DatabotError
from databot.types.messages import DEFAULT_TENANT

JobState = Literal["queued", "running", "done", "failed", "dead", "cancelled"]
ENDED: tuple[JobState, ...] = ("done", "failed", "dead", "cancelled")
REPEATABLE: tuple[JobState, ...] = ("failed", "dead")
"""What `retry` queues again."""
MAX_ATTEMPTS = 5
WORN_OUT = "its worker ended without a word in the last attempt; the job may be what ends it"
"""The error of a job that died with its worker."""

Progress = float | str
"""How far a job is: the part that is done (0 to 1), or a line for people."""


class JobRefused(DatabotError):
    """The job cannot be done as asked, now or later: it fails at once and is not tried again."""

    type = "job_refused"
    status = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Work to be done.

    `kind` names the handler. `key`, if any, names work that must exist once in its tenant and kind. It is not begun
    before `run_at` (at once, when left out).
    """

    kind: str
    tenant_id: str = DEFAULT_TENANT
    key: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    run_at: datetime | None = None
    max_attempts: int = MAX_ATTEMPTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as stored.

    `attempts` were begun so far. `fence` is that of the claim it was read with. `result` is set when it is done, `error`
    (one line for people) when its last attempt was not. `failed` will not work however often it is tried; `dead` did
    not work in `max_attempts`.
    """

    id: str
    tenant_id: str
    kind: str
    key: str | None
    arguments: Mapping[str, Any]
    state: JobState
    attempts: int
    max_attempts: int
    fence: int
    run_at: datetime
    progress: Progress | None
    result: Mapping[str, Any] | None
    error: str | None
    created_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None


class JobStore(Protocol):
    """Jobs, for those who ask for work and those who look after it."""

    async def enqueue(self, new: NewJob) -> Job:
        """Commit a job; where its tenant and kind have one of its key already, whatever became of it, gives that one.

        Raises:
            RequestError: a tenant, kind or key that no database can hold.
            StorageUnavailable: it was not kept, or nobody knows; a job with a key may be enqueued again.
        """
        ...

    async def find(self, tenant_id: str | None, job_id: str) -> Job | None:
        """One job of this tenant."""
        ...

    async def list(
        self, tenant_id: str | None, *, state: JobState | None = None, limit: int = 50
    ) -> Sequence[Job]:
        """Jobs, the last made first."""
        ...

    async def cancel(self, tenant_id: str | None, job_id: str) -> bool:
        """End a queued job, or ask whoever runs it to stop; false when there is none, or it has ended."""
        ...

    async def retry(self, tenant_id: str | None, job_id: str) -> bool:
        """Queue a failed or dead job again, with all its attempts; false when there is none, or it is neither."""
        ...

    async def counts(self) -> Mapping[JobState, int]:
        """How many jobs of all tenants there are in each state that any is in: for gauges."""
        ...


TURN = "turn"
"""The kind that dead turns are shown as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """A job, or a turn that was given up, as people see it. `attempts` is `None` where they are not known."""

    id: str
    tenant_id: str
    kind: str
    state: JobState
    attempts: int | None
    progress: Progress | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class Desk(Protocol):
    """Work that needs somebody's eye: jobs, and beside them the turns that were given up."""

    async def list(
        self, tenant_id: str | None, *, state: JobState | None = None, limit: int = 50
    ) -> Sequence[WorkItem]:
        """Jobs and dead turns, the last made first."""
        ...

    async def retry(self, tenant_id: str | None, item_id: str) -> None:
        """Queue a failed or dead job, or a dead turn, again.

        Raises:
            NotFound: there is none of that id.
            Conflict: it is neither failed nor dead.
        """
        ...

    async def cancel(self, tenant_id: str | None, item_id: str) -> None:
        """End a queued job, or ask whoever runs it to stop.

        Raises:
            NotFound: there is none of that id.
            Conflict: it has ended.
        """
        ...


class JobClaims(Protocol):
    """Jobs, for those who do them. `job` is what `claim` gave: every write carries its fence.

    Each of them raises `ClaimLost` when another worker has claimed the job since, or it was deleted.
    """

    async def claim(self, kinds: Sequence[str], worker: str) -> Job | None:
        """Take the job that has been due for longest and that nobody holds; its attempt is counted.

        A job that its worker left behind is free when the lease is over. One left behind in its last attempt is dead, one
        that was to be stopped is cancelled: both are ended here and the next one is looked for.
        """
        ...

    async def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        """Renew the lease and say how far it is (`None`: as before); gives whether somebody wants it stopped."""
        ...

    async def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        """The job is done."""
        ...

    async def fail(self, job: Job, error: str, end: "datetime | JobState") -> None:
        """The attempt failed: the job is due again at a time, or has ended `failed`, `dead` or `cancelled`."""
        ...

    async def release(self, job: Job) -> None:
        """Let go of it unfinished: others may take it at once, and the attempt does not count."""
        ...


class JobContext(Protocol):
    """What a handler is given. When the job is cancelled the handler is: it gets `CancelledError` where it waits."""

    @property
    def job(self) -> Job: ...

    @property
    def arguments(self) -> Mapping[str, Any]: ...

    @property
    def idempotency_key(self) -> str:
        """The same in every attempt of this job and in no other job: for far sides that can tell a repetition."""
        ...

    async def progress(self, value: Progress) -> None:
        """Say how far the work is; cheap enough for every step of it, since only the last word of a second is kept."""
        ...


Handler = Callable[[JobContext], Awaitable[Mapping[str, Any]]]
"""Does the work of a kind and gives its result, which JSON can hold.

An error is an attempt that failed, and the job is tried again later; `JobRefused` and `ConfigError` fail the job.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a kind of work is due again: `cron` (five fields) read in `timezone` (an IANA name)."""

    name: str
    kind: str
    cron: str
    timezone: str = "UTC"
    tenant_id: str = DEFAULT_TENANT
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule as stored: it fires at `next_at`, unless it is paused, and last did at `last_at`."""

    schedule: Schedule
    paused: bool
    next_at: datetime
    last_at: datetime | None


class ScheduleStore(Protocol):
    """The schedules, each known by its name within its tenant."""

    async def put(self, schedule: Schedule, next_at: datetime) -> None:
        """Keep a schedule. One that is there already keeps its pause; its `next_at` too, where the time is unchanged."""
        ...

    async def list(self, tenant_id: str | None) -> Sequence[ScheduleRecord]:
        """Schedules by name."""
        ...

    async def pause(self, tenant_id: str, name: str, *, paused: bool, next_at: datetime) -> bool:
        """Hold it or let it go on at `next_at`; what was missed meanwhile is not made up. False: there is none."""
        ...

    async def remove(self, tenant_id: str, name: str) -> bool:
        """Forget it; says whether there was one."""
        ...

    async def due(self, now: datetime) -> Sequence[ScheduleRecord]:
        """Those whose time has come, the earliest first."""
        ...

    async def fire(self, record: ScheduleRecord, job: NewJob, next_at: datetime) -> bool:
        """Make the job and move the schedule on, both or neither; false when somebody else has done it."""
        ...
