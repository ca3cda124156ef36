"""What nobody will ask for again goes, and nothing else."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from databot.jobs.base import NewJob
from databot.storage.base import Worker
from databot.storage.cleaning import Cleaned
from databot.storage.database import Database
from databot.storage.open import build_store, open_database
from databot.storage.tables import approval, outbox
from databot.storage.work import make_work_store
from databot.testing.clock import SequentialIds
from databot.types.clock import RandomIds
from tests.storage.parts import Place, message

DAY_S = 86_400.0
NOTHING = Cleaned(jobs=0, replies=0, approvals=0, files=0)


class House:
    """A store with its parts, and rows of tables whose writers are elsewhere."""

    def __init__(self, place: Place, database: Database) -> None:
        self.clock = place.clock
        self.folder = place.data_dir / "artifacts"
        self.database = database
        worker = Worker(name="cleaner")
        self.store = build_store(database, place.data_dir, place.clock, SequentialIds(), worker)
        self.work = make_work_store(database, place.data_dir, place.clock, RandomIds())

    async def insert(self, table: object, **values: object) -> None:
        from sqlalchemy import Table, bindparam, insert

        assert isinstance(table, Table)
        named = {name: bindparam(name, type_=table.c[name].type) for name in values}
        query = self.database.prepare(insert(table).values(named))
        await self.database.write(((query, values),))

    async def count(self, table: object) -> int:
        from sqlalchemy import Table, func, select

        assert isinstance(table, Table)
        query = self.database.prepare(select(func.count()).select_from(table))
        return await self.database.read(query, {}, lambda rows: rows[0][0])

    def micros(self, days: float) -> int:
        """So many days before now."""
        return int((self.clock.now() - timedelta(days=days)).timestamp() * 1_000_000)


@pytest.fixture
async def house(place: Place) -> AsyncIterator[House]:
    database = await open_database(place.url, exclusive=False)
    try:
        yield House(place, database)
    finally:
        await database.aclose()


async def test_an_empty_store_is_clean(house: House) -> None:
    assert await house.work.cleaning.clean() == NOTHING


async def test_jobs_go_thirty_days_after_their_end(house: House) -> None:
    work = house.work
    await work.jobs.enqueue(NewJob(kind="old"))
    old = await work.claims.claim(["old"], "ada")
    assert old is not None
    await work.claims.finish(old, {})
    await work.jobs.enqueue(NewJob(kind="left", tenant_id="of a replica that is gone"))
    house.clock.advance(29 * DAY_S)
    await work.jobs.enqueue(NewJob(kind="young"))
    assert await work.cleaning.clean() == NOTHING
    house.clock.advance(1.5 * DAY_S)
    assert (await work.cleaning.clean()).jobs == 2
    assert [job.kind for job in await work.jobs.list(None)] == ["young"]
    assert await work.cleaning.clean() == NOTHING


async def test_a_running_job_stays_however_old(house: House) -> None:
    await house.work.jobs.enqueue(NewJob(kind="long"))
    assert await house.work.claims.claim(["long"], "ada") is not None
    house.clock.advance(90 * DAY_S)
    assert await house.work.cleaning.clean() == NOTHING


async def test_sent_replies_go_after_a_week_and_unsent_ones_never(house: House) -> None:
    common = {
        "conversation_id": 1,
        "seq": 1,
        "tenant_id": "default",
        "channel": "slack",
        "body": "{}",
        "created_at": house.micros(90),
    }
    await house.insert(outbox, id="old", state="sent", sent_at=house.micros(8), **common)
    await house.insert(outbox, id="new", state="sent", sent_at=house.micros(6), **common)
    await house.insert(outbox, id="unsent", state="pending", **common)
    await house.insert(outbox, id="dead", state="dead", **common)
    assert await house.work.cleaning.clean() == Cleaned(jobs=0, replies=1, approvals=0, files=0)
    assert await house.count(outbox) == 3


async def test_an_approval_long_over_goes_unless_its_turn_still_waits(house: House) -> None:
    await house.store.inbox.ingest("open", message())
    for turn_id, days in (("open", 90), ("ended", 90), ("recent", 10)):
        await house.insert(
            approval,
            id=f"approval of {turn_id}",
            tenant_id="default",
            conversation_id=1,
            turn_id=turn_id,
            call_id="c1",
            tool="shell",
            arguments="{}",
            digest="",
            state="pending",
            requested_at=house.micros(days + 1),
            expires_at=house.micros(days),
        )
    assert (await house.work.cleaning.clean()).approvals == 1
    assert await house.count(approval) == 2


def aged(path: Path, house: House, days: float) -> Path:
    moment = house.micros(days) / 1_000_000
    os.utime(path, (moment, moment))
    return path


async def test_files_without_a_record_go_when_they_are_old_enough(house: House) -> None:
    kept = await house.store.artifacts.save(message().conversation, "a.csv", "text/csv", b"1")
    (file,) = (path for path in house.folder.rglob("*") if path.is_file())
    aged(file, house, 90)
    folder = house.folder / "zz"
    folder.mkdir()
    for name in ("art_lost", ".art_half.part", "art_young", "README", "other"):
        (folder / name).write_bytes(b"1")
        aged(folder / name, house, 0.5 if name == "art_young" else 2)
    assert (await house.work.cleaning.clean()).files == 2
    assert sorted(path.name for path in folder.iterdir()) == ["README", "art_young", "other"]
    assert await house.store.artifacts.load("default", kept.id) is not None
