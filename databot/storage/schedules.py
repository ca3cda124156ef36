"""When work is due again, in the table `schedule`. Not here: reading cron expressions (`databot.jobs.cron`)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite spells ON CONFLICT alike

from databot.jobs.base import NewJob, Schedule, ScheduleRecord
from databot.storage.codec import dumps, from_micros, loads, to_micros
from databot.storage.database import Database, Row
from databot.storage.jobs import NEW, job_params
from databot.storage.names import is_name, require_name
from databot.storage.statements import fixed, insert_chosen, param, same
from databot.storage.tables import job, schedule
from databot.types.clock import Clock, Ids

NAME = (schedule.c.tenant_id, schedule.c.name)
NEXT = param(schedule.c.next_at)
RECORD = (
    *NAME,
    schedule.c.kind,
    schedule.c.cron,
    schedule.c.timezone,
    schedule.c.arguments,
    schedule.c.paused,
    schedule.c.next_at,
    schedule.c.last_at,
)
MADE = insert(schedule)
SAME_TIME = and_(
    schedule.c.cron == MADE.excluded.cron, schedule.c.timezone == MADE.excluded.timezone
)
PUT = MADE.values(
    tenant_id=param(schedule.c.tenant_id),
    name=param(schedule.c.name),
    kind=param(schedule.c.kind),
    arguments=param(schedule.c.arguments),
    cron=param(schedule.c.cron),
    timezone=param(schedule.c.timezone),
    next_at=NEXT,
).on_conflict_do_update(
    index_elements=list(NAME),
    set_={
        "kind": MADE.excluded.kind,
        "arguments": MADE.excluded.arguments,
        "cron": MADE.excluded.cron,
        "timezone": MADE.excluded.timezone,
        "next_at": case((SAME_TIME, schedule.c.next_at), else_=MADE.excluded.next_at),
    },
)
OF_TENANT = schedule.c.tenant_id == func.coalesce(param(schedule.c.tenant_id), schedule.c.tenant_id)
LIST = select(*RECORD).where(OF_TENANT).order_by(*NAME)
PAUSE = (
    update(schedule)
    .where(same(*NAME))
    .values(paused=param(schedule.c.paused), next_at=NEXT)
    .returning(schedule.c.name)
)
REMOVE = delete(schedule).where(same(*NAME)).returning(schedule.c.name)
GOES_ON = schedule.c.paused == fixed("0")
DUE = (
    select(*RECORD)
    .where(GOES_ON, schedule.c.next_at <= param(schedule.c.next_at, "now"))
    .order_by(schedule.c.next_at, *NAME)
)
# The schedule's row is locked and looked at again: of replicas that fire at once, one finds it where it was.
STANDS = and_(same(*NAME), GOES_ON, schedule.c.next_at == param(schedule.c.next_at, "fired_at"))
FIRE = insert_chosen(job, NEW, STANDS, locking=schedule).on_conflict_do_nothing()
MOVE_ON = (
    update(schedule)
    .where(STANDS)
    .values(next_at=NEXT, last_at=param(schedule.c.last_at, "fired_at"))
    .returning(schedule.c.name)
)


class SqlSchedules:
    """The schedules, in a database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        prepare = database.prepare
        self._put, self._list, self._due = prepare(PUT), prepare(LIST), prepare(DUE)
        self._pause, self._remove = prepare(PAUSE), prepare(REMOVE)
        self._fire, self._move_on = prepare(FIRE), prepare(MOVE_ON)

    async def put(self, schedule: Schedule, next_at: datetime) -> None:
        require_name("tenant", schedule.tenant_id)
        require_name("name of the schedule", schedule.name)
        params = {
            "tenant_id": schedule.tenant_id,
            "name": schedule.name,
            "kind": schedule.kind,
            "arguments": dumps(dict(schedule.arguments)),
            "cron": schedule.cron,
            "timezone": schedule.timezone,
            "next_at": to_micros(next_at),
        }
        await self._database.write(((self._put, params),))

    async def list(self, tenant_id: str | None) -> Sequence[ScheduleRecord]:
        if not is_name(tenant_id or ""):
            return []
        return await self._database.read(self._list, {"tenant_id": tenant_id}, records)

    async def pause(self, tenant_id: str, name: str, *, paused: bool, next_at: datetime) -> bool:
        if not (is_name(tenant_id) and is_name(name)):
            return False
        params = {
            "tenant_id": tenant_id,
            "name": name,
            "paused": int(paused),
            "next_at": to_micros(next_at),
        }
        (changed,) = await self._database.write(((self._pause, params),))
        return bool(changed)

    async def remove(self, tenant_id: str, name: str) -> bool:
        if not (is_name(tenant_id) and is_name(name)):
            return False
        params = {"tenant_id": tenant_id, "name": name}
        (gone,) = await self._database.write(((self._remove, params),))
        return bool(gone)

    async def due(self, now: datetime) -> Sequence[ScheduleRecord]:
        return await self._database.read(self._due, {"now": to_micros(now)}, records)

    async def fire(self, record: ScheduleRecord, job: NewJob, next_at: datetime) -> bool:
        schedule = record.schedule
        params = {
            **job_params(job, self._ids.new("job"), to_micros(self._clock.now())),
            "tenant_id": schedule.tenant_id,
            "name": schedule.name,
            "fired_at": to_micros(record.next_at),
            "next_at": to_micros(next_at),
        }
        _, moved = await self._database.write(((self._fire, params), (self._move_on, params)))
        return bool(moved)


def records(rows: Sequence[Row]) -> list[ScheduleRecord]:
    return [record_of(row) for row in rows]


def record_of(row: Row) -> ScheduleRecord:
    tenant_id, name, kind, cron, timezone, arguments, paused, next_at, last_at = row
    return ScheduleRecord(
        schedule=Schedule(
            tenant_id=tenant_id,
            name=name,
            kind=kind,
            cron=cron,
            timezone=timezone,
            arguments=loads(arguments),
        ),
        paused=bool(paused),
        next_at=from_micros(next_at),
        last_at=None if last_at is None else from_micros(last_at),
    )
