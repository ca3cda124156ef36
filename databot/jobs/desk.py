"""Work that needs somebody's eye, as people see it: jobs, and beside them the turns that were given up.

Behind `databot jobs` and `/api/v1/jobs`. A tenant of `None` is the operator's: every tenant.
"""

from collections.abc import Sequence
from typing import Protocol

from databot.jobs.base import REPEATABLE, TURN, Job, JobState, JobStore, WorkItem
from databot.storage.base import TurnRecord
from databot.types.errors import Conflict, NotFound
from databot.types.messages import ConversationKey

SEARCHED = 10_000
"""Among how many dead turns the operator's is looked for, whose tenant was not told."""


class DeadTurns(Protocol):
    """Turns that were given up after too many attempts: the part of the inbox that the desk needs."""

    async def dead(self, tenant_id: str | None = None, *, limit: int = 100) -> Sequence[TurnRecord]:
        """Dead turns, the last first."""
        ...

    async def replay(self, tenant_id: str, turn_id: str) -> ConversationKey | None:
        """Let a dead turn be tried again; `None` when it is not dead."""
        ...


class WorkDesk:
    """Implements `Desk`. A turn that is queued again is found by the sweeper."""

    def __init__(self, jobs: JobStore, turns: DeadTurns) -> None:
        self._jobs = jobs
        self._turns = turns

    async def list(
        self, tenant_id: str | None, *, state: JobState | None = None, limit: int = 50
    ) -> Sequence[WorkItem]:
        jobs = [item_of(job) for job in await self._jobs.list(tenant_id, state=state, limit=limit)]
        turns = await self._turns.dead(tenant_id, limit=limit) if state in {None, "dead"} else ()
        jobs += [dead_item(turn) for turn in turns]
        return sorted(jobs, key=lambda item: item.created_at, reverse=True)[:limit]

    async def retry(self, tenant_id: str | None, item_id: str) -> None:
        if await self._jobs.retry(tenant_id, item_id) or await self._replay(tenant_id, item_id):
            return
        state = (await self._job(tenant_id, item_id)).state
        raise Conflict(
            f"the job {item_id} is {state}",
            hint=f"only {' and '.join(REPEATABLE)} jobs are retried",
        )

    async def cancel(self, tenant_id: str | None, item_id: str) -> None:
        if not await self._jobs.cancel(tenant_id, item_id):
            state = (await self._job(tenant_id, item_id)).state
            raise Conflict(f"the job {item_id} is {state}", hint="it cannot be cancelled any more")

    async def _job(self, tenant_id: str | None, job_id: str) -> Job:
        job = await self._jobs.find(tenant_id, job_id)
        if job is None:
            raise NotFound("job", job_id, hint="`databot jobs list` shows them")
        return job

    async def _replay(self, tenant_id: str | None, turn_id: str) -> bool:
        if tenant_id is None:
            dead = await self._turns.dead(limit=SEARCHED)
            tenants = [turn.conversation.tenant_id for turn in dead if turn.turn_id == turn_id]
        else:
            tenants = [tenant_id]
        return any([await self._turns.replay(tenant, turn_id) for tenant in tenants])


def item_of(job: Job) -> WorkItem:
    return WorkItem(
        id=job.id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        state=job.state,
        attempts=job.attempts,
        progress=job.progress,
        error=job.error,
        created_at=job.created_at,
        ended_at=job.ended_at,
    )


def dead_item(turn: TurnRecord) -> WorkItem:
    return WorkItem(
        id=turn.turn_id,
        tenant_id=turn.conversation.tenant_id,
        kind=TURN,
        state="dead",
        attempts=None,
        progress=None,
        error=turn.error.get("message") if turn.error else None,
        created_at=turn.accepted_at,
        ended_at=None,
    )
