"""The background work that comes with databot: what it does, when it is due, and the worker that does it.

`rag.sync` brings the index of a tenant up to date; `storage.clean` takes away what nobody will ask for again. Both may be
repeated at any time. An index lies on the disk of one replica, so its jobs have a kind of their own for that place: only
the replica that answers from an index may be given the work on it.
"""

import asyncio
import hashlib
import logging
import socket
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from databot.config.settings import Settings
from databot.jobs.base import Handler, JobContext, JobRefused, JobStore, NewJob, Schedule
from databot.jobs.desk import WorkDesk
from databot.jobs.schedules import Scheduler
from databot.jobs.worker import JobWorker, WorkerOptions
from databot.rag.base import IngestReport
from databot.rag.build import BUSY, RAG
from databot.storage.base import Worker
from databot.storage.cleaning import SqlCleaning
from databot.storage.open import build_store, open_database
from databot.storage.work import WorkStore, make_work_store
from databot.types.clock import Clock, Ids, RandomIds, SystemClock

log = logging.getLogger(__name__)

RAG_SYNC = "rag.sync"
CLEAN = "storage.clean"
CLEANING = Schedule(name=CLEAN, kind=CLEAN, cron="23 3 * * *")
TELL_EVERY_S = 2.0


class Spawn(Protocol):
    """`Supervisor.spawn`."""

    def __call__(self, work: Coroutine[Any, Any, None], *, name: str) -> "asyncio.Task[None]": ...


def index_kind(data_dir: Path) -> str:
    """The kind of the jobs on the index that lies under this folder of this machine."""
    place = f"{socket.gethostname()}:{data_dir.resolve()}"
    return f"{RAG_SYNC}@{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def build_job_handlers(
    cleaning: SqlCleaning, rag: RAG | None, data_dir: Path, clock: Clock
) -> Mapping[str, Handler]:
    """Who does the built-in kinds of work here."""
    handlers = {CLEAN: make_clean(cleaning)}
    if rag is not None:
        handlers[index_kind(data_dir)] = make_rag_sync(rag, clock)
    return handlers


async def ask_for_work(work: WorkStore, rag: RAG | None, data_dir: Path, clock: Clock) -> None:
    """What a daemon asks for when it starts: every tenant's index up to date, and a cleaning each night.

    Raises `StorageError`.
    """
    await Scheduler(work.schedules, clock).put(CLEANING)
    if rag is not None:
        await ask_for_sync(work.jobs, rag, index_kind(data_dir))


async def ask_for_sync(jobs: JobStore, rag: RAG, kind: str) -> None:
    """A sync for each tenant, unless one waits that has not begun: it will read what there is by then."""
    for tenant_id in rag.tenants:
        waiting = await jobs.list(tenant_id, state="queued", limit=1000)
        if not any(job.kind == kind for job in waiting):
            await jobs.enqueue(NewJob(kind=kind, tenant_id=tenant_id))


@asynccontextmanager
async def run_jobs(
    work: WorkStore,
    handlers: Mapping[str, Handler],
    spawn: Spawn,
    clock: Clock,
    ids: Ids,
    *,
    options: WorkerOptions | None = None,
) -> AsyncGenerator[JobWorker]:
    """A worker and a scheduler, for as long as the block lasts; at its end the worker is stopped and waited for.

    `wake()` of what this gives is for the notice `JobsDue`, its `stop()` for the beginning of a shutdown.
    """
    worker = JobWorker(work.claims, handlers, clock, ids.new("worker"), options=options)
    working = spawn(worker.run(), name="jobs")
    scheduling = spawn(Scheduler(work.schedules, clock).run(), name="schedules")
    try:
        yield worker
    finally:
        scheduling.cancel()
        worker.stop()
        await asyncio.wait((working, scheduling))


def make_rag_sync(rag: RAG, clock: Clock) -> Handler:
    one_at_a_time = asyncio.Lock()

    async def sync(context: JobContext) -> Mapping[str, Any]:
        if context.job.tenant_id not in rag.tenants:
            raise JobRefused(f"the configuration names no tenant {context.job.tenant_id!r}")
        async with one_at_a_time:
            report = await sync_alone(context, rag, clock)
        for problem in report.problems:
            log.warning("retrieval: %s", problem)
        return asdict(report)

    return sync


async def sync_alone(context: JobContext, rag: RAG, clock: Clock) -> IngestReport:
    """Sync when no other process writes the indexes of this folder: it may be at another tenant's."""
    while True:
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(tell_progress(context, rag, clock))
            report = await rag.sync(context.job.tenant_id)
            telling.cancel()
        if BUSY not in report.problems:
            return report
        await context.progress(BUSY)
        await clock.sleep(TELL_EVERY_S)


async def tell_progress(context: JobContext, rag: RAG, clock: Clock) -> None:
    while True:
        await clock.sleep(TELL_EVERY_S)
        status = rag.progress(context.job.tenant_id)
        await context.progress(f"{status.documents} documents, {status.chunks} chunks")


def make_clean(cleaning: SqlCleaning) -> Handler:
    async def clean(context: JobContext) -> Mapping[str, Any]:
        del context
        return asdict(await cleaning.clean())

    return clean


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncGenerator[WorkDesk]:
    """The desk of a configured store, beside its daemon or without one; nothing else is opened.

    Raises what `open_store` raises.
    """
    clock, ids = SystemClock(), RandomIds()
    database = await open_database(settings.storage_url(), exclusive=False)
    try:
        work = make_work_store(database, settings.data_dir, clock, ids)
        store = build_store(database, settings.data_dir, clock, ids, Worker(name="desk"))
        yield WorkDesk(work.jobs, store.inbox)
    finally:
        await database.aclose()
