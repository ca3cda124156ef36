"""What every dispatch promises, whatever engine is behind it.

A new engine is one more entry in `ENGINES`: how replicas of one databot are opened over it. Only what is `shared` has
more than one replica.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import pytest

from databot.dispatch.base import Dispatch, JobsDue, Notice, NumberedEvent, Stop, TurnKey
from databot.dispatch.memory import MemoryDispatch
from databot.dispatch.open import open_dispatch
from databot.types.clock import RandomIds, SystemClock
from databot.types.events import StreamEvent, TextDelta, TurnFailed, TurnStarted
from databot.types.messages import ConversationKey
from tests.dispatch.postgres import drop_schemas

LIMIT_S = 15.0
Opener = Callable[[], AbstractAsyncContextManager[Dispatch]]
Engine = Callable[[pytest.FixtureRequest], Opener]
"""Makes the opener of replicas that see each other and nobody else."""


def memory_replicas(request: pytest.FixtureRequest) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncGenerator[Dispatch]:
        yield MemoryDispatch()

    return opened


def redis_replicas(request: pytest.FixtureRequest) -> Opener:
    url = f"{request.getfixturevalue('redis_url')}?namespace={uuid4().hex}"
    return lambda: open_dispatch(url, SystemClock(), RandomIds())


def postgres_replicas(request: pytest.FixtureRequest) -> Opener:
    base = request.getfixturevalue("postgres_url")
    schema = f"t_{uuid4().hex[:12]}"
    request.addfinalizer(lambda: drop_schemas(base, schema))
    return lambda: open_dispatch(f"{base}?schema={schema}", SystemClock(), RandomIds())


ENGINES: dict[str, Engine] = {"redis": redis_replicas, "postgres": postgres_replicas}
"""The engines that replicas can share."""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.service) for name in ENGINES])
def shared(request: pytest.FixtureRequest) -> Opener:
    return ENGINES[request.param](request)


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.service) for name in ENGINES)]
)
def opener(request: pytest.FixtureRequest) -> Opener:
    engines = {"memory": memory_replicas} | ENGINES
    return engines[request.param](request)


def conversation(number: int) -> ConversationKey:
    return ConversationKey(tenant_id="t:1", bot_id="b", session_id=f"ä {number}")


def text(number: int, turn: TurnKey) -> NumberedEvent:
    return NumberedEvent(number=number, event=TextDelta(turn_id=turn.turn_id, text=f"{number} "))


def end(number: int, turn: TurnKey) -> NumberedEvent:
    failed = TurnFailed(turn_id=turn.turn_id, session_id="s", error="cancelled", reason="stopped")
    return NumberedEvent(number=number, event=failed)


async def collect(stream: AsyncIterator[NumberedEvent]) -> list[int]:
    return [item.number async for item in stream]


async def first(stream: AsyncIterator[Any]) -> Any:  # noqa: ANN401 - of any stream
    async with asyncio.timeout(LIMIT_S), aclosing(cast("AsyncGenerator[Any]", stream)) as items:
        async for item in items:
            return item
    raise AssertionError("the stream ended")


@pytest.fixture
def turn() -> TurnKey:
    return TurnKey(tenant_id="a:b/%", turn_id="turn é {1}")


async def test_what_is_signalled_is_told_to_whoever_takes_signals(opener: Opener) -> None:
    async with opener() as dispatch, asyncio.timeout(LIMIT_S):
        await dispatch.signal(conversation(1))
        await dispatch.signal(conversation(2))
        taken: set[ConversationKey] = set()
        async for key in dispatch.signals():
            taken.add(key)
            if len(taken) == 2:
                break
        assert taken == {conversation(1), conversation(2)}


async def test_each_signal_is_taken_by_exactly_one_of_two_replicas(shared: Opener) -> None:
    taken: list[ConversationKey] = []
    all_taken = asyncio.Event()

    async def take(replica: Dispatch) -> None:
        async for key in replica.signals():
            taken.append(key)
            if len(taken) >= 200:
                all_taken.set()

    async with (
        shared() as one,
        shared() as two,
        asyncio.timeout(LIMIT_S),
        asyncio.TaskGroup() as group,
    ):
        takers = [group.create_task(take(replica)) for replica in (one, two)]
        for number in range(200):
            await (one, two)[number % 2].signal(conversation(number))
        await all_taken.wait()
        for taker in takers:
            taker.cancel()
    assert sorted(taken, key=str) == sorted(map(conversation, range(200)), key=str)


async def test_what_a_leaving_replica_did_not_hand_on_is_taken_by_another(shared: Opener) -> None:
    async with shared() as stays, asyncio.timeout(2 * LIMIT_S):
        async with shared() as leaves:
            for number in range(10):
                await leaves.signal(conversation(number))
            await first(leaves.signals())
        left = {conversation(number) for number in range(10)}
        async for key in stays.signals():
            left.discard(key)
            if len(left) <= 1:  # one may count as handed on
                break


@pytest.mark.parametrize("notice", [JobsDue(), Stop(turn=TurnKey(tenant_id="t:", turn_id="ü"))])
async def test_a_notice_reaches_the_replica_that_announced_it(
    opener: Opener, notice: Notice
) -> None:
    async with opener() as dispatch:
        heard = asyncio.Event()

        async def hear() -> None:
            assert await first(dispatch.notices()) == notice
            heard.set()

        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            group.create_task(hear())
            await asyncio.sleep(0)
            await dispatch.announce(notice)
            await heard.wait()


async def test_notices_reach_every_replica_once(shared: Opener) -> None:
    async with shared() as one, shared() as two, asyncio.timeout(LIMIT_S):
        heard: dict[int, list[Notice]] = {0: [], 1: []}
        begun: list[asyncio.Event] = [asyncio.Event(), asyncio.Event()]

        async def hear(number: int, replica: Dispatch) -> None:
            async for notice in replica.notices():
                if isinstance(notice, JobsDue):
                    begun[number].set()
                else:
                    heard[number].append(notice)
                    if notice.turn.turn_id == "last":
                        return

        async def knock() -> None:
            while not all(event.is_set() for event in begun):
                await one.announce(JobsDue())
                await asyncio.sleep(0.05)

        sent = [Stop(turn=TurnKey(tenant_id="t", turn_id=name)) for name in ("a", "b", "last")]
        async with asyncio.TaskGroup() as group:
            group.create_task(hear(0, one))
            group.create_task(hear(1, two))
            await knock()
            for notice in sent:
                await two.announce(notice)
        assert heard == {0: sent, 1: sent}


async def test_a_listener_at_another_replica_hears_a_turn_in_order_without_gap_or_repeat(
    shared: Opener, turn: TurnKey
) -> None:
    async with shared() as runs, shared() as reads, asyncio.timeout(LIMIT_S):
        async with asyncio.TaskGroup() as group:
            early = group.create_task(collect(reads.listen(turn)))
            other = TurnKey(tenant_id="a", turn_id="b:/%turn é {1}")
            foreign = group.create_task(collect(reads.listen(other)))
            for number in range(1, 501):
                runs.tell(turn, text(number, turn))
                if number % 50 == 0:
                    await asyncio.sleep(0)
            late = group.create_task(collect(reads.listen(turn)))
            after = group.create_task(collect(reads.listen(turn, after=300)))
            runs.tell(turn, end(501, turn))
            runs.tell(other, end(7, other))
        assert early.result() == late.result() == list(range(1, 502))
        assert after.result() == list(range(301, 502))
        assert foreign.result() == [7]
        assert await collect(reads.listen(turn, after=500)) == [501]


async def test_what_was_told_is_heard_as_it_was(shared: Opener, turn: TurnKey) -> None:
    events: list[StreamEvent] = [
        TurnStarted(turn_id="turn", session_id="s"),
        TextDelta(turn_id="turn", text="ein Zeichen 🙂, ein halbes \ud83d"),
        TurnFailed(turn_id="turn", session_id="s", error="busy", reason="try again"),
    ]
    async with shared() as runs, shared() as reads, asyncio.timeout(LIMIT_S):
        for number, event in enumerate(events, start=1):
            runs.tell(turn, NumberedEvent(number=number, event=event))
        assert [item.event async for item in reads.listen(turn)] == events


async def test_a_listener_that_waits_hears_a_turn_that_begins_later(
    shared: Opener, turn: TurnKey
) -> None:
    async with shared() as runs, shared() as reads, asyncio.timeout(LIMIT_S):
        async with asyncio.TaskGroup() as group:
            waits = group.create_task(collect(reads.listen(turn, after=4)))
            await first_of_another(reads, runs)
            runs.tell(turn, text(4, turn))
            runs.tell(turn, end(9, turn))
        assert waits.result() == [9]


async def first_of_another(reads: Dispatch, runs: Dispatch) -> None:
    """Hear something of another turn: by then the reading has begun."""
    other = TurnKey(tenant_id="t", turn_id=uuid4().hex)
    runs.tell(other, text(1, other))
    assert (await first(reads.listen(other))).number == 1


async def test_a_listener_that_leaves_leaves_the_others_alone(
    shared: Opener, turn: TurnKey
) -> None:
    async with shared() as runs, shared() as reads, asyncio.timeout(LIMIT_S):
        async with asyncio.TaskGroup() as group:
            stays = group.create_task(collect(reads.listen(turn)))
            leaves = group.create_task(collect(reads.listen(turn)))
            await first_of_another(reads, runs)
            leaves.cancel()
            runs.tell(turn, text(1, turn))
            runs.tell(turn, end(2, turn))
        assert leaves.cancelled()
        assert stays.result() == [1, 2]


async def test_whoever_waits_can_be_cancelled_at_any_time(opener: Opener, turn: TurnKey) -> None:
    async with opener() as dispatch, asyncio.timeout(LIMIT_S):
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(first(stream))
                for stream in (dispatch.signals(), dispatch.notices(), dispatch.listen(turn))
            ]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
        assert all(task.cancelled() for task in waiting)


async def test_an_error_of_whoever_has_it_open_is_told_as_it_is(opener: Opener) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with opener():
            raise LookupError("mine")


async def test_an_engine_that_answers_says_what_it_is(opener: Opener) -> None:
    async with opener() as dispatch, asyncio.timeout(LIMIT_S):
        line = await dispatch.check()
    assert line
    assert "\n" not in line
