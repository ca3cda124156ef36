"""The background work that comes with databot, done by its own worker on a real store and a real index."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from databot.app import jobs
from databot.app.jobs import (
    CLEAN,
    ask_for_work,
    build_job_handlers,
    index_kind,
    run_jobs,
)
from databot.core.supervisor import Supervisor
from databot.jobs.base import Handler, Job, JobContext, NewJob
from databot.jobs.worker import WorkerOptions
from databot.rag import model
from databot.rag.build import BUSY, RAG, RagExtras, open_rag
from databot.rag.folder import IndexFolder
from databot.storage.open import open_database
from databot.storage.work import WorkStore, make_work_store
from databot.types.clock import RandomIds, SystemClock
from tests.jobs.parts import until

LIMIT_S = 60.0
CLOCK = SystemClock()
OPTIONS = WorkerOptions(look_s=0.05)


@pytest.fixture
async def work(tmp_path: Path) -> AsyncIterator[WorkStore]:
    database = await open_database(f"sqlite:///{tmp_path}/databot.db", exclusive=False)
    try:
        yield make_work_store(database, tmp_path, CLOCK, RandomIds())
    finally:
        await database.aclose()


@pytest.fixture
async def rag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RAG]:
    """An index of one page for two tenants; without weights words serve."""
    monkeypatch.setattr(model, "PACKAGE", "a_package_nobody_has")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "refunds.md").write_text("# Refunds\n\nPaid back within thirty days.", "utf-8")
    extras = RagExtras(tenants=("default", "acme"))
    async with open_rag(tmp_path, sources=[docs], clock=CLOCK, extras=extras) as opened:
        yield opened


@asynccontextmanager
async def running(work: WorkStore, handlers: Mapping[str, Handler]) -> AsyncGenerator[Supervisor]:
    async with asyncio.timeout(LIMIT_S), Supervisor() as supervisor:
        ids = RandomIds()
        async with run_jobs(work, handlers, supervisor.spawn, CLOCK, ids, options=OPTIONS):
            yield supervisor


async def ended(work: WorkStore, job: Job) -> Job:
    return await until(work.jobs, job, lambda found: found.ended_at is not None)


async def test_at_start_every_tenants_index_is_asked_for_and_made(
    work: WorkStore, rag: RAG, tmp_path: Path
) -> None:
    await ask_for_work(work, rag, tmp_path, CLOCK)
    asked = await work.jobs.list(None)
    assert {(job.kind, job.tenant_id) for job in asked} == {
        (index_kind(tmp_path), "default"),
        (index_kind(tmp_path), "acme"),
    }
    async with running(work, build_job_handlers(work.cleaning, rag, tmp_path, CLOCK)):
        for job in asked:
            done = await ended(work, job)
            assert (done.state, done.error) == ("done", None)
            assert done.result is not None
            assert done.result["added"] == 1
    words, _ = rag.index.parts
    assert await words.count("acme", "document") == 1


async def test_many_starts_leave_no_queue_of_the_same_work(
    work: WorkStore, rag: RAG, tmp_path: Path
) -> None:
    for _ in range(3):
        await ask_for_work(work, rag, tmp_path, CLOCK)
    assert len(await work.jobs.list(None)) == 2
    assert [item.schedule.name for item in await work.schedules.list(None)] == [CLEAN]


async def test_a_sync_waits_until_another_databot_has_done_with_the_folder(
    work: WorkStore, rag: RAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TELL_EVERY_S", 0.05)
    job = await work.jobs.enqueue(NewJob(kind=index_kind(tmp_path), tenant_id="acme"))
    async with running(work, build_job_handlers(work.cleaning, rag, tmp_path, CLOCK)):
        with IndexFolder(tmp_path / "rag").writing() as alone:
            assert alone
            await until(work.jobs, job, lambda found: found.progress == BUSY)
        done = await ended(work, job)
    assert done.result is not None
    assert done.result["added"] == 1


async def test_a_tenant_nobody_configured_fails_its_sync(
    work: WorkStore, rag: RAG, tmp_path: Path
) -> None:
    job = await work.jobs.enqueue(NewJob(kind=index_kind(tmp_path), tenant_id="gone"))
    async with running(work, build_job_handlers(work.cleaning, rag, tmp_path, CLOCK)):
        failed = await ended(work, job)
    assert (failed.state, failed.attempts) == ("failed", 1)


async def test_the_work_on_an_index_stays_with_its_folder(
    work: WorkStore, rag: RAG, tmp_path: Path
) -> None:
    here = build_job_handlers(work.cleaning, rag, tmp_path, CLOCK)
    there = build_job_handlers(work.cleaning, rag, tmp_path / "other", CLOCK)
    assert here.keys() & there.keys() == {CLEAN}
    assert build_job_handlers(work.cleaning, None, tmp_path, CLOCK).keys() == {CLEAN}


async def test_the_store_is_cleaned(work: WorkStore, tmp_path: Path) -> None:
    job = await work.jobs.enqueue(NewJob(kind=CLEAN))
    async with running(work, build_job_handlers(work.cleaning, None, tmp_path, CLOCK)):
        done = await ended(work, job)
    assert done.result == {"jobs": 0, "replies": 0, "approvals": 0, "files": 0}


async def test_at_the_end_the_job_that_runs_is_waited_for(work: WorkStore) -> None:
    begun, stopping = asyncio.Event(), asyncio.Event()

    async def slow(context: JobContext) -> Mapping[str, Any]:
        begun.set()
        await stopping.wait()
        return {}

    job = await work.jobs.enqueue(NewJob(kind="slow"))
    async with running(work, {"slow": slow}) as supervisor:
        await begun.wait()

        async def later() -> None:
            stopping.set()

        supervisor.spawn(later(), name="the job's end")
    assert (await ended(work, job)).state == "done"
