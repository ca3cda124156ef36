"""How a job is spelled in its row, and back. Not here: what is done to it (`jobs`, `job_claims`)."""

from collections.abc import Sequence

from databot.jobs.base import Job
from databot.storage.codec import from_micros, loads
from databot.storage.database import Row
from databot.storage.tables import job

RECORD = (
    job.c.id,
    job.c.tenant_id,
    job.c.kind,
    job.c.key,
    job.c.state,
    job.c.attempts,
    job.c.max_attempts,
    job.c.fence,
    job.c.error,
    job.c.arguments,
    job.c.progress,
    job.c.result,
    job.c.run_at,
    job.c.created_at,
    job.c.begun_at,
    job.c.ended_at,
)


def job_of(row: Row) -> Job:
    """The job of a row of `RECORD`."""
    arguments, progress, result, run_at, created_at, begun_at, ended_at = row[9:]
    return Job(
        id=row[0],
        tenant_id=row[1],
        kind=row[2],
        key=row[3],
        state=row[4],
        attempts=row[5],
        max_attempts=row[6],
        fence=row[7],
        error=row[8],
        arguments=loads(arguments),
        progress=None if progress is None else loads(progress),
        result=None if result is None else loads(result),
        run_at=from_micros(run_at),
        created_at=from_micros(created_at),
        begun_at=None if begun_at is None else from_micros(begun_at),
        ended_at=None if ended_at is None else from_micros(ended_at),
    )


def jobs_of(rows: Sequence[Row]) -> list[Job]:
    return [job_of(row) for row in rows]
