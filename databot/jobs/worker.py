"""Does jobs: as many at once as it has places, each to its end, whatever becomes of the others.

The worker keeps nothing that is not in the store. It may be killed at any instant: its jobs are taken over when their
leases are over. Asked to stop it takes no more, gives those that run some time, and then lets go of them, so that others
go on at once. Not here: what the jobs are (handlers), and one attempt (`attempt`).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from databot.jobs.attempt import Attempt, Outcome, Raised, Returned
from databot.jobs.base import Handler, Job, JobClaims, JobRefused
from databot.types.backoff import Chance, backoff_s, some_chance
from databot.types.clock import Clock
from databot.types.errors import ClaimLost, ConfigError, StorageError, StorageUnavailable, describe

log = logging.getLogger(__name__)

RELEASE_S = 5.0
"""How long letting go of a job may take; after that its lease must run out."""
BASE_S, CAP_S = 5.0, 600.0
"""The bound of the wait after a first failure, and of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """`places` jobs run at once. `lease_s` is that of the claims. Seconds, all of them."""

    places: int = 4
    lease_s: float = 10.0
    look_s: float = 1.0
    drain_s: float = 25.0
    base_s: float = BASE_S
    cap_s: float = CAP_S


class JobWorker:
    """Claims and runs jobs of the kinds it has handlers for."""

    def __init__(
        self,
        claims: JobClaims,
        handlers: Mapping[str, Handler],
        clock: Clock,
        name: str,
        *,
        options: WorkerOptions | None = None,
        chance: Chance = some_chance,
    ) -> None:
        self._claims = claims
        self._handlers = handlers
        self._clock = clock
        self._name = name
        self._options = options or WorkerOptions()
        self._chance = chance
        self._busy = 0
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do: look now."""
        self._news.set()

    def stop(self) -> None:
        """Take no more jobs; `run` ends when those that run have ended or were let go of."""
        self._stopping.set()
        self._news.set()

    async def run(self) -> None:
        """Do jobs until `stop`. Cancelled, it lets go of them at once."""
        async with asyncio.TaskGroup() as group:
            jobs: set[asyncio.Task[None]] = set()
            while not self._stopping.is_set():
                self._news.clear()
                job = await self._claim()
                if job is None:
                    await self._news_or_a_while()
                    continue
                self._busy += 1
                task = group.create_task(self._do(job), name=f"job {job.id}")
                jobs.add(task)
                task.add_done_callback(jobs.discard)
            await self._drain(jobs)

    async def _claim(self) -> Job | None:
        """A job, if there is one and a place to do it in."""
        if self._busy >= self._options.places:
            return None
        try:
            return await self._claims.claim(tuple(self._handlers), self._name)
        except StorageError as error:
            log.warning("no job could be claimed: %s", describe(error))
        except Exception:  # boundary: the loop outlives everything it meets
            log.exception("no job could be claimed")
        return None

    async def _news_or_a_while(self) -> None:
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(self._clock.sleep(self._options.look_s)),
                group.create_task(self._wait_for_news()),
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _wait_for_news(self) -> None:
        await self._news.wait()

    async def _drain(self, jobs: set[asyncio.Task[None]]) -> None:
        if not jobs:
            return
        async with asyncio.TaskGroup() as group:
            late = group.create_task(self._clock.sleep(self._options.drain_s))
            ended = group.create_task(all_of(jobs))
            await asyncio.wait((late, ended), return_when=asyncio.FIRST_COMPLETED)
            late.cancel()
            ended.cancel()
        for job in tuple(jobs):
            job.cancel()

    async def _do(self, job: Job) -> None:
        """One job, and nothing that goes wrong with it reaches any other."""
        try:
            attempt = Attempt(job, self._claims, self._clock, self._options.lease_s)
            outcome = await attempt.run(self._handlers[job.kind])
            await self._keep(job, outcome)
        except asyncio.CancelledError:
            await self._release(job)
            raise
        except ClaimLost:
            log.info("job %s goes on elsewhere", job.id)
        except StorageError as error:  # its lease runs out, and it is taken again
            log.warning("job %s: its end could not be kept: %s", job.id, describe(error))
        except Exception:  # boundary: one job
            log.exception("job %s (%s) broke its worker's hold", job.id, job.kind)
        finally:
            self._busy -= 1
            self._news.set()

    async def _keep(self, job: Job, outcome: Outcome) -> None:
        """Write down what became of it; a store that is away for less than a lease costs no job its end."""
        until = self._clock.monotonic() + self._options.lease_s
        while True:
            try:
                return await self._settle(job, outcome)
            except StorageUnavailable:
                if self._clock.monotonic() >= until:
                    raise
            await self._clock.sleep(self._options.look_s)

    async def _settle(self, job: Job, outcome: Outcome) -> None:
        if isinstance(outcome, Returned):
            await self._claims.finish(job, outcome.result)
        elif isinstance(outcome, Raised):
            await self._fail(job, outcome.error)
        elif outcome == "cancelled":
            await self._claims.fail(job, "", "cancelled")
        else:
            raise ClaimLost(f"job {job.id}")

    async def _fail(self, job: Job, error: Exception) -> None:
        why = describe(error)
        if isinstance(error, JobRefused | ConfigError):
            log.error("job %s (%s) failed: %s", job.id, job.kind, why)
            await self._claims.fail(job, why, "failed")
            return
        log.warning(
            "job %s (%s), attempt %d: %s", job.id, job.kind, job.attempts, why, exc_info=error
        )
        if job.attempts >= job.max_attempts:
            await self._claims.fail(job, why, "dead")
            return
        options = self._options
        wait_s = backoff_s(job.attempts, self._chance(), base_s=options.base_s, cap_s=options.cap_s)
        await self._claims.fail(job, why, self._clock.now() + timedelta(seconds=wait_s))

    async def _release(self, job: Job) -> None:
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._claims.release(job)
        except (StorageError, TimeoutError) as error:
            log.info("job %s was not let go of: %s", job.id, error)


async def all_of(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(set(tasks))
