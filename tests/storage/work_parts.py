"""Work stores for tests: the real ones in each database, and the shipped twin, with a hand on their leases."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest

from databot.jobs.base import JobClaims, JobStore, ScheduleStore
from databot.storage.open import open_database
from databot.storage.work import WorkStore, make_work_store
from databot.testing.clock import FakeClock, SequentialIds
from databot.testing.memory_jobs import MemoryJobs, MemorySchedules
from databot.types.clock import RandomIds
from tests.storage.parts import Place
from tests.storage.places import place_in

LEASE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """`let_leases_end` makes every lease taken so far be over, by the clock that leases go by."""

    jobs: JobStore
    claims: JobClaims
    schedules: ScheduleStore
    clock: FakeClock
    let_leases_end: Callable[[], Awaitable[None]]


@asynccontextmanager
async def work_in(implementation: str, request: pytest.FixtureRequest) -> AsyncGenerator[Work]:
    if implementation == "memory":
        yield memory_work()
        return
    async with place_in(implementation, request) as place, open_work(place) as store:
        yield Work(
            jobs=store.jobs,
            claims=store.claims,
            schedules=store.schedules,
            clock=place.clock,
            let_leases_end=ending_leases(place),
        )


def memory_work() -> Work:
    clock = FakeClock()
    jobs = MemoryJobs(clock, SequentialIds(), lease_s=LEASE_S)

    async def let_leases_end() -> None:
        clock.advance(LEASE_S + 1)

    return Work(
        jobs=jobs,
        claims=jobs,
        schedules=MemorySchedules(jobs),
        clock=clock,
        let_leases_end=let_leases_end,
    )


@asynccontextmanager
async def open_work(
    place: Place, *, exclusive: bool = False, lease_s: float = LEASE_S
) -> AsyncGenerator[WorkStore]:
    database = await open_database(place.url, exclusive=exclusive)
    try:
        yield make_work_store(database, place.data_dir, place.clock, RandomIds(), lease_s=lease_s)
    finally:
        await database.aclose()


def ending_leases(place: Place) -> Callable[[], Awaitable[None]]:
    async def by_clock() -> None:
        place.clock.advance(LEASE_S + 1)

    async def by_hand() -> None:  # the server's own clock cannot be moved
        place.clock.advance(LEASE_S + 1)
        await execute(place, "UPDATE job SET lease_until = 1")

    return by_clock if place.url.startswith("sqlite") else by_hand


async def execute(place: Place, statement: str) -> None:
    """Run a statement in the place's schema of PostgreSQL."""
    server, _, schema = place.url.partition("?search_path=")
    connection = await asyncpg.connect(server.replace("+asyncpg", ""))
    try:
        await connection.execute(f"SET search_path TO {schema}")
        await connection.execute(statement)
    finally:
        await connection.close()
