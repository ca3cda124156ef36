from collections.abc import Sequence
from datetime import timedelta

import pytest

from databot.jobs.base import NewJob
from databot.jobs.desk import WorkDesk
from databot.storage.base import TurnRecord
from databot.testing.clock import FakeClock
from databot.testing.memory_jobs import MemoryJobs
from databot.types.errors import Conflict, NotFound
from databot.types.messages import ConversationKey
from tests.storage.parts import message


class Given:
    """Turns that were given up."""

    def __init__(self, *turns: TurnRecord) -> None:
        self.turns = {turn.turn_id: turn for turn in turns}
        self.replayed: list[str] = []

    async def dead(self, tenant_id: str | None = None, *, limit: int = 100) -> Sequence[TurnRecord]:
        found = self.turns.values()
        return [t for t in found if tenant_id in {None, t.conversation.tenant_id}][:limit]

    async def replay(self, tenant_id: str, turn_id: str) -> ConversationKey | None:
        found = self.turns.get(turn_id)
        if found is None or found.conversation.tenant_id != tenant_id:
            return None
        self.replayed.append(turn_id)
        return found.conversation


def dead_turn(clock: FakeClock, turn_id: str, tenant_id: str) -> TurnRecord:
    question = message(tenant_id=tenant_id)
    return TurnRecord(
        turn_id=turn_id,
        conversation=question.conversation,
        seq=1,
        message=question,
        state="dead",
        accepted_at=clock.now() - timedelta(hours=1),
        error={"type": "poison", "message": "it ended its worker five times"},
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def jobs(clock: FakeClock) -> MemoryJobs:
    return MemoryJobs(clock)


@pytest.fixture
def turns(clock: FakeClock) -> Given:
    return Given(dead_turn(clock, "t1", "acme"), dead_turn(clock, "t2", "umbrella"))


@pytest.fixture
def desk(jobs: MemoryJobs, turns: Given) -> WorkDesk:
    return WorkDesk(jobs, turns)


async def test_jobs_and_dead_turns_stand_in_one_list(desk: WorkDesk, jobs: MemoryJobs) -> None:
    job = await jobs.enqueue(NewJob(kind="count", tenant_id="acme"))
    assert [item.id for item in await desk.list(None)] == [job.id, "t1", "t2"]
    assert [item.id for item in await desk.list("acme")] == [job.id, "t1"]
    assert [item.id for item in await desk.list(None, limit=1)] == [job.id]
    assert [item.id for item in await desk.list(None, state="queued")] == [job.id]
    (turn,) = await desk.list("acme", state="dead")
    assert (turn.kind, turn.state, turn.error) == ("turn", "dead", "it ended its worker five times")


async def test_a_dead_job_or_turn_is_queued_again(
    desk: WorkDesk, jobs: MemoryJobs, turns: Given
) -> None:
    await jobs.enqueue(NewJob(kind="count", tenant_id="acme"))
    job = await jobs.claim(["count"], "ada")
    assert job is not None
    await jobs.fail(job, "broken", "dead")
    await desk.retry("acme", job.id)
    assert [item.state for item in await desk.list("acme")] == ["queued", "dead"]
    await desk.retry("acme", "t1")
    await desk.retry(None, "t2")
    assert turns.replayed == ["t1", "t2"]


async def test_another_tenants_work_is_not_there(
    desk: WorkDesk, jobs: MemoryJobs, turns: Given
) -> None:
    job = await jobs.enqueue(NewJob(kind="count", tenant_id="umbrella"))
    for item_id in (job.id, "t2", "nothing"):
        with pytest.raises(NotFound):
            await desk.retry("acme", item_id)
    with pytest.raises(NotFound):
        await desk.cancel("acme", job.id)
    assert turns.replayed == []


async def test_what_cannot_be_done_says_why(jobs: MemoryJobs) -> None:
    desk = WorkDesk(jobs, Given())
    job = await jobs.enqueue(NewJob(kind="count"))
    with pytest.raises(Conflict, match="is queued"):
        await desk.retry(None, job.id)
    held = await jobs.claim(["count"], "ada")
    assert held is not None
    await desk.cancel(None, job.id)
    await jobs.finish(held, {})
    with pytest.raises(Conflict, match="is done"):
        await desk.cancel(None, job.id)
    assert [item.state for item in await desk.list(None)] == ["done"]
