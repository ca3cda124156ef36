"""The parts of the store that background work uses, over one open database."""

from dataclasses import dataclass
from pathlib import Path

from databot.jobs.base import JobClaims, JobStore, ScheduleStore
from databot.storage.cleaning import SqlCleaning
from databot.storage.database import Database
from databot.storage.job_claims import LEASE_S, SqlJobClaims
from databot.storage.jobs import SqlJobs
from databot.storage.schedules import SqlSchedules
from databot.types.clock import Clock, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkStore:
    """Jobs for those who ask for them and for those who do them, schedules, and the cleaning of the store."""

    jobs: JobStore
    claims: JobClaims
    schedules: ScheduleStore
    cleaning: SqlCleaning


def make_work_store(
    database: Database, data_dir: Path, clock: Clock, ids: Ids, *, lease_s: float = LEASE_S
) -> WorkStore:
    """Everything at once; its statements are prepared, nothing is read."""
    return WorkStore(
        jobs=SqlJobs(database, clock, ids),
        claims=SqlJobClaims(database, clock, ids, lease_s=lease_s),
        schedules=SqlSchedules(database, clock, ids),
        cleaning=SqlCleaning(database, data_dir / "artifacts", clock),
    )
