"""Jobs for those who ask for work and those who look after it, in the table `job`.

Not here: doing them (`job_claims`), and when they are made by the clock (`schedules`).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite spells ON CONFLICT alike

from databot.jobs.base import Job, JobState, NewJob
from databot.storage.codec import dumps, to_micros
from databot.storage.database import Database, Params, Query, Row
from databot.storage.job_rows import RECORD, jobs_of
from databot.storage.names import is_name, require_name
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import job
from databot.types.clock import Clock, Ids
from databot.types.errors import StorageError

NOW = param(job.c.ended_at, "now")
OPEN = job.c.ended_at.is_(None)
OF_TENANT = job.c.tenant_id == func.coalesce(param(job.c.tenant_id), job.c.tenant_id)
"""The parameter's tenant, or any where it is null."""

NEW = {
    job.c.id: param(job.c.id),
    job.c.tenant_id: param(job.c.tenant_id),
    job.c.kind: param(job.c.kind),
    job.c.key: param(job.c.key),
    job.c.arguments: param(job.c.arguments),
    job.c.state: fixed("'queued'"),
    job.c.max_attempts: param(job.c.max_attempts),
    job.c.run_at: param(job.c.run_at),
    job.c.created_at: param(job.c.created_at, "now"),
}
MAKE = (
    insert(job)
    .values({column.name: value for column, value in NEW.items()})
    .on_conflict_do_nothing()
    .returning(*RECORD)
)
OF_KEY = select(*RECORD).where(same(job.c.tenant_id, job.c.kind, job.c.key))
OF_ID = select(*RECORD).where(same(job.c.id), OF_TENANT)
IN_STATE = job.c.state == func.coalesce(param(job.c.state), job.c.state)
NEWEST = (job.c.created_at.desc(), job.c.id.desc())
COUNT = param(job.c.attempts, "count")
# Two lists: asked for any tenant, the index of a tenant's jobs would not be used.
LIST = at_most(select(*RECORD).where(same(job.c.tenant_id), IN_STATE).order_by(*NEWEST), COUNT)
LIST_ALL = at_most(select(*RECORD).where(IN_STATE).order_by(*NEWEST), COUNT)
IS_QUEUED = job.c.state == fixed("'queued'")
# Asked again it says yes again: a cancelled job is what was wanted.
CANCEL = (
    update(job)
    .where(same(job.c.id), OF_TENANT, or_(OPEN, job.c.state == fixed("'cancelled'")))
    .values(
        stop_asked=fixed("1"),
        state=case((IS_QUEUED, fixed("'cancelled'")), else_=job.c.state),
        ended_at=case((IS_QUEUED, NOW), else_=job.c.ended_at),
    )
    .returning(job.c.id)
)
RETRY = (
    update(job)
    .where(same(job.c.id), OF_TENANT, job.c.state.in_([fixed("'failed'"), fixed("'dead'")]))
    .values(
        state=fixed("'queued'"),
        attempts=fixed("0"),
        stop_asked=fixed("0"),
        run_at=NOW,
        owner=fixed("NULL"),
        lease_until=fixed("0"),
        ended_at=fixed("NULL"),
        progress=fixed("NULL"),
    )
    .returning(job.c.id)
)


COUNTS = select(job.c.state, func.count()).group_by(job.c.state)


class SqlJobs:
    """The jobs, in a database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        prepare = database.prepare
        self._make, self._of_key, self._of_id = prepare(MAKE), prepare(OF_KEY), prepare(OF_ID)
        self._list, self._list_all = prepare(LIST), prepare(LIST_ALL)
        self._cancel, self._retry = prepare(CANCEL), prepare(RETRY)
        self._counts = prepare(COUNTS)

    async def enqueue(self, new: NewJob) -> Job:
        params = job_params(new, self._ids.new("job"), to_micros(self._clock.now()))
        (made,) = await self._database.write(((self._make, params),))
        if made:
            return jobs_of(made)[0]
        # There is one of this key; or this very job, when a lost connection had the statement run twice.
        if new.key is not None:
            found = await self._database.read(self._of_key, params, jobs_of)
        else:
            found = await self._database.read(self._of_id, params, jobs_of)
        if not found:
            raise StorageError(
                "a job was neither kept nor known; it may have been deleted meanwhile"
            )
        return found[0]

    async def find(self, tenant_id: str | None, job_id: str) -> Job | None:
        if not is_name(job_id) or not is_name(tenant_id or ""):
            return None
        params = {"tenant_id": tenant_id, "id": job_id}
        found = await self._database.read(self._of_id, params, jobs_of)
        return found[0] if found else None

    async def list(
        self, tenant_id: str | None, *, state: JobState | None = None, limit: int = 50
    ) -> Sequence[Job]:
        if limit <= 0 or not is_name(tenant_id or ""):
            return []
        query = self._list_all if tenant_id is None else self._list
        params = {"tenant_id": tenant_id, "state": state, "count": limit}
        return await self._database.read(query, params, jobs_of)

    async def cancel(self, tenant_id: str | None, job_id: str) -> bool:
        return await self._change(self._cancel, tenant_id, job_id)

    async def retry(self, tenant_id: str | None, job_id: str) -> bool:
        return await self._change(self._retry, tenant_id, job_id)

    async def counts(self) -> Mapping[JobState, int]:
        return await self._database.read(self._counts, {}, counts_of)

    async def _change(self, query: Query, tenant_id: str | None, job_id: str) -> bool:
        if not is_name(job_id) or not is_name(tenant_id or ""):
            return False
        params = {"tenant_id": tenant_id, "id": job_id, "now": to_micros(self._clock.now())}
        (changed,) = await self._database.write(((query, params),))
        return bool(changed)


def counts_of(rows: Sequence[Row]) -> Mapping[JobState, int]:
    return {row[0]: row[1] for row in rows}


def job_params(new: NewJob, job_id: str, now: int) -> Params:
    """The parameters of an INSERT into `job`. Raises `RequestError` for a name no database can hold."""
    require_name("tenant", new.tenant_id)
    require_name("kind of job", new.kind)
    require_name("key of the job", new.key or "")
    return {
        "id": job_id,
        "tenant_id": new.tenant_id,
        "kind": new.kind,
        "key": new.key,
        "arguments": dumps(dict(new.arguments)),
        "max_attempts": new.max_attempts,
        "run_at": now if new.run_at is None else to_micros(new.run_at),
        "now": now,
    }
