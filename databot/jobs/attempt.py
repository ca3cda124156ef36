"""One attempt at one job: its handler, beside the heartbeat that keeps the claim.

The attempt ends when the handler does, and ends the handler when somebody wants the job stopped or another worker has
it. Not here: what becomes of the job then (`worker`).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from databot.jobs.base import Handler, Job, JobClaims, Progress
from databot.types.clock import Clock
from databot.types.errors import ClaimLost, StorageError, describe

log = logging.getLogger(__name__)

BEATS_PER_LEASE = 3
TOLD_EVERY_S = 1.0
"""How often progress is written down; what is said in between waits for the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The handler is done."""

    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The handler failed."""

    error: Exception


Broken = Literal["cancelled", "lost"]
"""Why a handler was ended early: somebody wanted it stopped, or another worker has the job."""
Outcome = Returned | Raised | Broken


class Attempt:
    """Runs a handler; it is the handler's `JobContext` too."""

    def __init__(self, job: Job, claims: JobClaims, clock: Clock, lease_s: float) -> None:
        self._job = job
        self._claims = claims
        self._clock = clock
        self._lease_s = lease_s
        self._alive_until = clock.monotonic() + lease_s
        self._said: Progress | None = None
        self._told_at = float("-inf")
        self._work: asyncio.Task[Outcome] | None = None
        self._broken: Broken | None = None

    @property
    def job(self) -> Job:
        return self._job

    @property
    def arguments(self) -> Mapping[str, Any]:
        return self._job.arguments

    @property
    def idempotency_key(self) -> str:
        return f"job:{self._job.id}"

    async def progress(self, value: Progress) -> None:
        self._said = value
        if self._clock.monotonic() - self._told_at >= TOLD_EVERY_S:
            await self._beat()
        await asyncio.sleep(0)  # where a handler that was stopped hears of it

    async def run(self, handler: Handler) -> Outcome:
        """Run it to its end. Cancelled, it ends the handler first."""
        async with asyncio.TaskGroup() as group:
            self._work = group.create_task(self._handle(handler))
            beats = group.create_task(self._keep_beating())
            await asyncio.wait((self._work,))
            beats.cancel()
        outcome = cancelled_by_itself() if self._work.cancelled() else self._work.result()
        if self._broken is not None and isinstance(outcome, Raised):
            return self._broken
        return outcome

    async def _handle(self, handler: Handler) -> Outcome:
        try:
            return Returned(result=dict(await handler(self)))
        except Exception as error:  # boundary: a handler may raise anything
            return Raised(error=error)

    async def _keep_beating(self) -> None:
        while self._broken is None:
            await self._clock.sleep(self._lease_s / BEATS_PER_LEASE)
            await self._beat()

    async def _beat(self) -> None:
        """Renew the lease; where that cannot be, the work ends before another worker begins it."""
        said, self._said = self._said, None
        now = self._clock.monotonic()
        try:
            stop = await self._claims.heartbeat(self._job, said)
        except ClaimLost:
            self._break("lost")
        except StorageError as error:
            log.warning("job %s: no heartbeat: %s", self._job.id, describe(error))
            self._said = said if self._said is None else self._said
            if self._clock.monotonic() >= self._alive_until:
                self._break("lost")
        else:
            self._alive_until = now + self._lease_s
            self._told_at = now
            if stop:
                self._break("cancelled")

    def _break(self, why: Broken) -> None:
        if self._work is not None and not self._work.done() and self._broken is None:
            self._broken = why
            self._work.cancel()


def cancelled_by_itself() -> Raised:
    return Raised(error=RuntimeError("the handler was cancelled from within"))
