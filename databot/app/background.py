"""What a running databot does beside answering: channels, jobs, overdue approvals, the model's warm-up."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from databot.app.approvals import keep_expiring
from databot.app.doors import connect_channels
from databot.app.jobs import ask_for_work, build_job_handlers, run_jobs
from databot.channels.hub import ChannelHub
from databot.config.settings import Settings
from databot.core.assembly import RunningEngine
from databot.dispatch.base import JobsDue
from databot.jobs.worker import JobWorker, WorkerOptions
from databot.providers.base import LLMProvider
from databot.rag.build import RAG
from databot.storage.open import Store
from databot.storage.work import WorkStore
from databot.types.clock import Clock, Ids

SESSION_DRAIN_S = 0.5
"""A command at a terminal ends when its person is done: what it had begun beside is left to the next process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What background work needs. `daemon` is false for a session beside a daemon, or without one."""

    settings: Settings
    running: RunningEngine
    store: Store
    hub: ChannelHub
    rag: RAG | None
    provider: LLMProvider
    clock: Clock
    ids: Ids
    daemon: bool

    async def start(self, stack: AsyncExitStack) -> JobWorker | None:
        """Start it all; what must be ended in order goes on the stack. Gives the worker of jobs, if there is one."""
        spawn, store = self.running.supervisor.spawn, self.store
        name = self.ids.new("worker")
        connect_channels(self.running, self.hub, store.outbox, self.clock, worker=name)
        expiring = keep_expiring(store.approvals, self.running.engine.go_on, self.clock)
        spawn(expiring, name="overdue approvals")
        spawn(warm(self.provider), name="model warm-up")
        return None if store.work is None else await self._start_jobs(store.work, stack)

    async def _start_jobs(self, work: WorkStore, stack: AsyncExitStack) -> JobWorker:
        data_dir = self.settings.data_dir
        await ask_for_work(work, self.rag, data_dir, self.clock)
        handlers = build_job_handlers(work.cleaning, self.rag, data_dir, self.clock)
        lease_s = self.settings.dispatch.lease_s
        options = WorkerOptions(lease_s=lease_s)
        if not self.daemon:
            options = WorkerOptions(lease_s=lease_s, drain_s=SESSION_DRAIN_S)
        spawn = self.running.supervisor.spawn
        jobs = await stack.enter_async_context(
            run_jobs(work, handlers, spawn, self.clock, self.ids, options=options)
        )
        spawn(heed_due_jobs(self.running, jobs), name="due jobs")
        return jobs


async def heed_due_jobs(running: RunningEngine, jobs: JobWorker) -> None:
    """Wake the worker when somebody says that there are jobs."""
    async for notice in running.machinery.dispatch.notices():
        if isinstance(notice, JobsDue):
            jobs.wake()


async def warm(provider: LLMProvider) -> None:
    """Let slow imports of the model's library happen in a thread, before the first question."""
    await asyncio.to_thread(provider.warm)
