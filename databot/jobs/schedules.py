"""Makes jobs when their time has come.

Every replica runs one `Scheduler`. They need not agree on anything: making the job and moving the schedule on is one
transaction, and the firing's time is in the job's key. What was missed while nobody ran is made up once, with its latest
time. Not here: what the jobs do (`worker`), nor what an expression means (`cron`).
"""

import logging
from datetime import datetime

from databot.jobs.base import NewJob, Schedule, ScheduleRecord, ScheduleStore
from databot.jobs.cron import CronTime
from databot.types.clock import Clock
from databot.types.errors import NotFound, StorageError, describe

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the schedules are looked at: a job is made that late at most."""


class Scheduler:
    """Looks every second for schedules that are due."""

    def __init__(self, store: ScheduleStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._refused: set[tuple[str, str]] = set()

    async def put(self, schedule: Schedule) -> None:
        """Keep a schedule; one of its name that is there already is changed. Raises `ConfigError` for a bad time."""
        time = CronTime(schedule.cron, schedule.timezone)
        await self._store.put(schedule, time.after(self._clock.now()))

    async def pause(self, tenant_id: str, name: str, *, paused: bool) -> None:
        """Hold a schedule, or let it go on from now. Raises `NotFound`."""
        for record in await self._store.list(tenant_id):
            if record.schedule.name == name:
                time = CronTime(record.schedule.cron, record.schedule.timezone)
                following = time.after(self._clock.now())
                await self._store.pause(tenant_id, name, paused=paused, next_at=following)
                return
        raise NotFound("schedule", name)

    async def run(self) -> None:
        """Fire what is due, until cancelled."""
        while True:
            try:
                await self.fire_due()
            except StorageError as error:
                log.warning("schedules could not be looked at: %s", describe(error))
            except Exception:  # boundary: the loop outlives everything it meets
                log.exception("schedules could not be looked at")
            await self._clock.sleep(LOOK_S)

    async def fire_due(self) -> int:
        """Fire every schedule that is due, once; gives how many jobs were made here. Raises `StorageError`."""
        now = self._clock.now()
        return sum([await self._fire(record, now) for record in await self._store.due(now)])

    async def _fire(self, record: ScheduleRecord, now: datetime) -> bool:
        schedule = record.schedule
        try:
            time = CronTime(schedule.cron, schedule.timezone)
            # What was due before is left out, save the latest.
            at = max(record.next_at, time.latest(now))
            fired = await self._store.fire(record, job_at(schedule, at), time.after(now))
        except StorageError:
            raise
        except Exception as error:  # boundary: one schedule does not hold up the others
            self._refuse(schedule, error)
            return False
        if fired:
            log.info("schedule %s: a job of kind %s for %s", schedule.name, schedule.kind, at)
        return fired

    def _refuse(self, schedule: Schedule, error: Exception) -> None:
        """Tell once of a schedule that cannot be read: by hand, or by another machine's time zone data."""
        key = (schedule.tenant_id, schedule.name)
        if key not in self._refused:
            self._refused.add(key)
            log.error("schedule %s is not kept: %s", schedule.name, describe(error))


def job_at(schedule: Schedule, at: datetime) -> NewJob:
    """The job of one firing."""
    return NewJob(
        kind=schedule.kind,
        tenant_id=schedule.tenant_id,
        key=f"schedule:{schedule.name}:{at.isoformat()}",
        arguments=schedule.arguments,
    )
