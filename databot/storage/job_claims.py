"""Jobs for those who do them: claims, leases and ends, in the table `job`.

Every claim makes an owner of its own. So a claim that was run twice, because its connection was lost, finds the job it
took the first time, and counts one attempt. Leases go by the clock `leases` tells of; when a job is due, by the `Clock`.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Text,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql.expression import ClauseElement

from databot.jobs.base import WORN_OUT, Job, JobState, Progress
from databot.storage.codec import dumps, to_micros
from databot.storage.database import Database, Params, Query
from databot.storage.job_rows import RECORD, jobs_of
from databot.storage.leases import NOW_NAME, TTL, WORKER, is_free, lease_end
from databot.storage.statements import at_most, fixed, param, same
from databot.storage.tables import job
from databot.types.clock import Clock, Ids
from databot.types.errors import ClaimLost

log = logging.getLogger(__name__)

LEASE_S = 10.0
MICROS = 1_000_000
NOW = param(job.c.run_at, "now")
NOTHING = fixed("NULL")

IS_OURS = func.coalesce(job.c.owner, fixed("''")) == bindparam(WORKER, type_=Text())
IS_STOPPED = job.c.stop_asked == fixed("1")
IS_WORN_OUT = job.c.attempts >= job.c.max_attempts
IS_OVER = or_(IS_STOPPED, IS_WORN_OUT)


def claim_statement(kinds: int) -> ClauseElement:
    """Take the job that has been due for longest; its kind is one of the parameters `kind_0`, `kind_1` …

    One that is over already is ended instead: the caller sees that by its state, and asks again.
    """
    one = job.alias()
    due = (
        select(one.c.id)
        .where(
            one.c.ended_at.is_(None),
            one.c.run_at <= NOW,
            or_(*(one.c.kind == bindparam(f"kind_{n}", type_=Text()) for n in range(kinds))),
            is_free(one.c.owner, one.c.lease_until),
        )
        .order_by(one.c.run_at, one.c.id)
        .with_for_update(skip_locked=True)
    )
    return (
        update(job)
        .where(job.c.id == at_most(due, fixed("1")).scalar_subquery())
        .values(
            state=case(
                (IS_OURS, fixed("'running'")),
                (IS_STOPPED, fixed("'cancelled'")),
                (IS_WORN_OUT, fixed("'dead'")),
                else_=fixed("'running'"),
            ),
            attempts=case(
                (or_(IS_OURS, IS_OVER), job.c.attempts), else_=job.c.attempts + fixed("1")
            ),
            fence=job.c.fence + fixed("1"),
            owner=bindparam(WORKER, type_=Text()),
            lease_until=lease_end(),
            begun_at=NOW,
            ended_at=case((IS_OURS, NOTHING), (IS_OVER, NOW)),
            error=case(
                (or_(IS_OURS, IS_STOPPED), job.c.error),
                (IS_WORN_OUT, param(job.c.error, "worn_out")),
                else_=job.c.error,
            ),
        )
        .returning(*RECORD)
    )


HELD = (same(job.c.id, job.c.fence), job.c.state == fixed("'running'"))
"""The claim is still ours."""
HEARTBEAT = (
    update(job)
    .where(*HELD)
    .values(
        lease_until=lease_end(),
        progress=func.coalesce(param(job.c.progress), job.c.progress),
    )
    .returning(job.c.stop_asked)
)
END = (
    update(job)
    .where(*HELD)
    .values(
        state=param(job.c.state),
        ended_at=NOW,
        owner=NOTHING,
        lease_until=fixed("0"),
        result=param(job.c.result),
        error=param(job.c.error),
    )
    .returning(job.c.id)
)
# A job that is to be stopped is not tried again.
AGAIN = (
    update(job)
    .where(*HELD)
    .values(
        state=case((IS_STOPPED, fixed("'cancelled'")), else_=fixed("'queued'")),
        ended_at=case((IS_STOPPED, NOW)),
        owner=NOTHING,
        lease_until=fixed("0"),
        run_at=param(job.c.run_at),
        attempts=job.c.attempts - param(job.c.attempts, "uncounted"),
        error=param(job.c.error),
    )
    .returning(job.c.id)
)
# A claim that has been ended, by a write that was run twice because its connection was lost: nobody else could.
STANDS = select(job.c.id).where(same(job.c.id, job.c.fence), job.c.state != fixed("'running'"))


class SqlJobClaims:
    """The claims on jobs, in a database. `lease_s` is how long a worker that is not heard of counts as alive."""

    def __init__(
        self, database: Database, clock: Clock, ids: Ids, *, lease_s: float = LEASE_S
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._ttl = int(lease_s * MICROS)
        self._claims: dict[int, Query] = {}
        prepare = database.prepare
        self._heartbeat, self._end = prepare(HEARTBEAT), prepare(END)
        self._again, self._stands = prepare(AGAIN), prepare(STANDS)

    async def claim(self, kinds: Sequence[str], worker: str) -> Job | None:
        if not kinds:
            return None
        if len(kinds) not in self._claims:
            self._claims[len(kinds)] = self._database.prepare(claim_statement(len(kinds)))
        query = self._claims[len(kinds)]
        named = {f"kind_{number}": kind for number, kind in enumerate(kinds)}
        while True:
            owner = f"{worker}/{self._ids.new('claim')}"
            params = {**named, WORKER: owner, "worn_out": WORN_OUT, **self._lease(), **self._now()}
            (rows,) = await self._database.write(((query, params),))
            if not rows:
                return None
            found = jobs_of(rows)[0]
            if found.state == "running":
                return found
            log.warning("job %s (%s) is %s: %s", found.id, found.kind, found.state, found.error)

    async def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        params = {"progress": None if progress is None else dumps(progress), **self._lease()}
        (rows,) = await self._database.write(((self._heartbeat, {**held(job), **params}),))
        if not rows:
            raise ClaimLost(f"job {job.id}")
        return bool(rows[0][0])

    async def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        await self._settle(job, "done", result=dumps(dict(result)))

    async def fail(self, job: Job, error: str, end: datetime | JobState) -> None:
        if isinstance(end, datetime):
            await self._queue_again(job, to_micros(end), error=error, uncounted=0)
        else:
            await self._settle(job, end, error=error or None)

    async def release(self, job: Job) -> None:
        await self._queue_again(job, to_micros(job.run_at), error=job.error, uncounted=1)

    async def _settle(
        self, job: Job, state: JobState, *, result: str | None = None, error: str | None = None
    ) -> None:
        await self._write(job, self._end, {"state": state, "result": result, "error": error})

    async def _queue_again(
        self, job: Job, run_at: int, *, error: str | None, uncounted: int
    ) -> None:
        params = {"run_at": run_at, "error": error, "uncounted": uncounted}
        await self._write(job, self._again, params)

    async def _write(self, job: Job, query: Query, params: Params) -> None:
        held_by = held(job)
        unit = ((query, {**held_by, **params, **self._now()}),)
        (written,) = await self._database.write(unit)
        if not written and not await self._database.read(self._stands, held_by, bool):
            raise ClaimLost(f"job {job.id}")

    def _lease(self) -> dict[str, int]:
        return {TTL: self._ttl, NOW_NAME: int(self._clock.monotonic() * MICROS)}

    def _now(self) -> dict[str, int]:
        return {"now": to_micros(self._clock.now())}


def held(job: Job) -> dict[str, Any]:
    return {"id": job.id, "fence": job.fence}
