"""Several workers on one database, and the hand of fate: leases that run out, clocks set back, a person's decision."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from databot.storage.base import Worker
from databot.storage.database import Query, Row
from databot.storage.open import Store, build_store, open_database
from databot.testing.clock import FakeClock, SequentialIds
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from tests.storage.places import fake_store, place_in

if TYPE_CHECKING:
    from databot.storage.database import Database

TTL_S = 10.0
FAR_S = 10_000_000.0
"""Months ahead of any clock in use here."""


class Crew(Protocol):
    """Workers, each with its own name and its own way to the same turns; two processes share the database."""

    @property
    def stores(self) -> Sequence[Store]: ...

    @property
    def clock(self) -> FakeClock: ...

    async def end_leases(self) -> None:
        """All leases are over."""
        ...

    async def set_clock_back(self) -> None:
        """All leases now end far in the future, as after a restart of the machine."""
        ...

    async def decide(self, turn_id: str) -> None:
        """A person decided: the turn waits no more."""
        ...

    async def attempts(self, turn_id: str) -> int:
        """How many attempts are on the disk."""
        ...


class SqlCrew:
    """A crew on SQLite or PostgreSQL; `database` is the first process's."""

    def __init__(self, stores: Sequence[Store], clock: FakeClock, database: "Database") -> None:
        self.stores, self.clock, self.database = stores, clock, database

    async def end_leases(self) -> None:
        await self.run("UPDATE conversation SET lease_until = 0 WHERE owner IS NOT NULL")

    async def set_clock_back(self) -> None:
        ahead = int(FAR_S * 1_000_000)
        await self.run(f"UPDATE conversation SET lease_until = lease_until + {ahead}")

    async def decide(self, turn_id: str) -> None:
        waits = "state = 'waiting' AND ended_at IS NULL"
        await self.run(f"UPDATE inbox SET state = 'queued' WHERE turn_id = '{turn_id}' AND {waits}")

    async def attempts(self, turn_id: str) -> int:
        rows = await self.rows(f"SELECT attempts FROM inbox WHERE turn_id = '{turn_id}'")
        return int(rows[0][0])

    async def run(self, sql: str) -> None:
        await self.database.write([(Query(sql=sql, names=()), {})])

    async def rows(self, sql: str) -> Sequence[Row]:
        return await self.database.read(Query(sql=sql, names=()), {}, list)


class MemoryCrew:
    """A crew in memory."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.clock = FakeClock()
        self.log = MemoryLog(self.clock)
        store = replace(
            fake_store(self.clock),
            inbox=self.log,
            journal=self.log,
            sessions=self.log,
            outbox=self.log.outbox,
        )
        self.stores = [replace(store, claims=MemoryClaims(self.log, each)) for each in workers]

    async def end_leases(self) -> None:
        for held in self.log.held.values():
            held.until = -1.0

    async def set_clock_back(self) -> None:
        for held in self.log.held.values():
            held.until += FAR_S

    async def decide(self, turn_id: str) -> None:
        kept = self.log.turns[turn_id]
        if kept.record.state == "waiting":
            kept.record = replace(kept.record, state="queued")

    async def attempts(self, turn_id: str) -> int:
        return self.log.turns[turn_id].attempts


@asynccontextmanager
async def crew_in(
    implementation: str, request: pytest.FixtureRequest, *, workers: int = 2, lease_s: float = TTL_S
) -> AsyncGenerator[Crew]:
    crew = [Worker(name=f"worker{number}", ttl_s=lease_s) for number in range(workers)]
    if implementation == "memory":
        yield MemoryCrew(crew)
        return
    async with (
        place_in(implementation, request) as place,
        sql_crew(place.url, place.data_dir, crew) as opened,
    ):
        yield opened


@asynccontextmanager
async def sql_crew(url: str, folder: Path, workers: Sequence[Worker]) -> AsyncGenerator[SqlCrew]:
    """Every other worker is of the second process."""
    clock, ids = FakeClock(), SequentialIds()
    async with AsyncExitStack() as stack:
        databases: list[Database] = []
        for exclusive in (True, False):
            databases.append(await open_database(url, exclusive=exclusive))
            stack.push_async_callback(databases[-1].aclose)
        stores = [
            build_store(databases[number % 2], folder, clock, ids, worker)
            for number, worker in enumerate(workers)
        ]
        yield SqlCrew(stores, clock, databases[0])
