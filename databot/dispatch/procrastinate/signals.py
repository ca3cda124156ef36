"""Signals as procrastinate's jobs: deferred once however often a conversation is signalled, taken by one replica, deleted.

The job only says which conversation to look at: with the conversation in the local queue it is done. A job whose worker
died is deleted, not retried: the sweeper signals the conversation anew (and retrying one while another waits fails).
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence

import orjson
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.jobs import Job, Status

from databot.dispatch.procrastinate.errors import is_about_one_item
from databot.dispatch.procrastinate.outages import Outages
from databot.dispatch.procrastinate.server import COMMAND_TIMEOUT_S, Server
from databot.types.clock import Clock
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
TASK = "databot.conversation"
WORKER = "databot"
SENDING, TAKING, TIDYING = "sending", "taking", "tidying"
AT_ONCE = 4
"""Jobs in hand, taken but not yet handed on: a replica that is full leaves the rest to the others."""
POLL_S = 2.0
TIDY_S = 30.0
STALLED_S = 30.0
BATCH = 100
MOST_WAITING = 20_000


class Signals:
    """Sends and takes for one replica."""

    def __init__(self, server: Server, clock: Clock, outages: Outages) -> None:
        self.lost = 0
        self._server = server
        self._clock = clock
        self._outages = outages
        self._out: dict[ConversationKey, None] = {}
        self._due = asyncio.Event()
        self._taken: asyncio.Queue[ConversationKey] = asyncio.Queue(maxsize=1)
        self._app = App(connector=PsycopgConnector())
        self._app.task(name=TASK, queue=server.schema)(self._take)

    async def open(self) -> None:
        await self._server.pool.open(wait=False)
        await self._app.open_async(self._server.pool)  # pyright: ignore[reportArgumentType] - any pool of psycopg's

    def signal(self, conversation: ConversationKey) -> None:
        if len(self._out) >= MOST_WAITING:
            self.lost += 1  # the sweeper finds it
            return
        self._out[conversation] = None
        self._due.set()

    async def signals(self) -> AsyncIterator[ConversationKey]:
        while True:
            yield await self._taken.get()

    async def send(self) -> None:
        """Defer what is due, until that fails."""
        while True:
            await self._due.wait()
            await self.flush()

    async def flush(self) -> None:
        """Defer what is due now; what could not be stays due."""
        self._due.clear()
        while self._out:
            batch = list(self._out)[:BATCH]
            for conversation in batch:
                del self._out[conversation]
            try:
                # Always in the order of their locks: two replicas that wait for each other's would be a deadlock.
                await self._defer(sorted((self._job(item) for item in batch), key=lock_of))
            except BaseException:  # boundary: raised again, also where it was cancelled
                self._out.update(dict.fromkeys(batch))
                self._due.set()
                raise
            self._outages.over(SENDING)

    async def _defer(self, jobs: Sequence[Job]) -> None:
        """Defer jobs together; where one is not wanted, the others all the same."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                await self._app.job_manager.batch_defer_jobs_async(jobs=list(jobs))
        except ProcrastinateException as error:
            if not is_about_one_item(error):
                raise
            half = len(jobs) // 2
            if half:
                await self._defer(jobs[:half])
                await self._defer(jobs[half:])
            # else it waits already, or cannot be said in this database at all

    def _job(self, conversation: ConversationKey) -> Job:
        names = [conversation.tenant_id, conversation.bot_id, conversation.session_id]
        key = hashlib.blake2b(orjson.dumps(names), digest_size=16).hexdigest()
        return Job(
            queue=self._server.schema,
            lock=None,
            queueing_lock=key,
            task_name=TASK,
            task_kwargs={"conversation": [*names]},
        )

    async def _take(self, *, conversation: Sequence[str]) -> None:
        """The task: hand the conversation on; a worker that ends before gives it back."""
        tenant, bot, session = conversation
        key = ConversationKey(tenant_id=tenant, bot_id=bot, session_id=session)
        try:
            await self._taken.put(key)
        except asyncio.CancelledError:
            self.signal(key)
            raise

    def give_back(self) -> None:
        """Signal anew what was taken and not handed on."""
        while not self._taken.empty():
            self.signal(self._taken.get_nowait())

    async def take(self) -> None:
        """Take jobs until something breaks."""
        async with self._server.connection():
            await self._tidy()  # also says that everything is there
        self._outages.over(TAKING)
        await self._app.run_worker_async(
            queues=[self._server.schema],
            name=WORKER,
            concurrency=AT_ONCE,
            delete_jobs="always",
            install_signal_handlers=False,
            listen_notify=True,
            fetch_job_polling_interval=POLL_S,
            shutdown_graceful_timeout=0.5,
        )
        raise ProcrastinateException(
            "the worker ended"
        )  # it does where one of its connections was lost

    async def tidy(self) -> None:
        """Delete jobs whose worker is dead, from time to time."""
        while True:
            await self._clock.sleep(TIDY_S)
            await self._tidy()
            self._outages.over(TIDYING)

    async def _tidy(self) -> None:
        manager = self._app.job_manager
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            stalled = await manager.get_stalled_jobs(
                queue=self._server.schema, seconds_since_heartbeat=STALLED_S
            )
        for job in stalled:
            try:
                async with asyncio.timeout(COMMAND_TIMEOUT_S):
                    await manager.finish_job(job, status=Status.FAILED, delete_job=True)
            except ProcrastinateException as error:  # another replica was faster, most likely
                log.debug("dispatch: a stalled job stays (%s)", type(error.__cause__).__name__)


def lock_of(job: Job) -> str:
    return job.queueing_lock or ""
