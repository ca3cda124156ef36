"""The fan-out: nobody waits for a subscriber."""

import asyncio

from databot.core.bus import Happened, MessageBus
from databot.core.supervisor import Supervisor, as_finished
from databot.dispatch.memory import MemoryDispatch
from databot.testing.clock import START, FakeClock, SequentialIds
from databot.testing.memory_log import MemoryLog
from databot.types.closing import closing
from databot.types.events import StreamEvent, TextDelta, TurnStarted
from databot.types.messages import Turn
from tests.core.house import said

TURN = Turn(id="t", message=said("x"), started_at=START)


def delta(n: int) -> TextDelta:
    return TextDelta(turn_id="t", text=str(n))


def started(n: int) -> TurnStarted:
    return TurnStarted(turn_id="t", session_id=str(n))


def make_bus(supervisor: Supervisor) -> MessageBus:
    return MessageBus(MemoryLog(FakeClock()), MemoryDispatch(), SequentialIds(), supervisor)


async def test_subscribe_gives_back_its_undo() -> None:
    seen: list[Happened] = []
    async with Supervisor() as supervisor:
        bus = make_bus(supervisor)
        undo = bus.subscribe(seen.append)
        bus.emit(TURN, delta(1))
        undo()
        undo()
        bus.emit(TURN, delta(2))
    assert [h.event for h in seen] == [delta(1)]


async def test_a_failing_subscriber_harms_no_other() -> None:
    seen: list[Happened] = []

    def broken(happened: Happened) -> None:
        raise ZeroDivisionError(happened)

    async with Supervisor() as supervisor:
        bus = make_bus(supervisor)
        bus.subscribe(broken)
        bus.subscribe(seen.append)
        bus.emit(TURN, delta(1))
    assert len(seen) == 1


async def test_a_slow_subscriber_loses_deltas_before_facts() -> None:
    go = asyncio.Event()
    done = asyncio.Event()
    seen: list[object] = []

    async def slow(_: Turn, event: StreamEvent) -> None:
        await go.wait()
        seen.append(event)
        if event == started(99):
            done.set()

    async with Supervisor() as supervisor:
        bus = make_bus(supervisor)
        bus.subscribe_async(slow, name="slow", capacity=3)
        bus.emit(TURN, started(1))
        for n in range(10):
            bus.emit(TURN, delta(n))
        bus.emit(TURN, started(99))
        go.set()
        await asyncio.wait_for(done.wait(), 10)
    assert seen[-1] == started(99)
    assert len(seen) <= 4


async def test_leaving_the_supervisor_ends_its_tasks() -> None:
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Supervisor() as supervisor:
        supervisor.spawn(forever(), name="forever")
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_work_left_early_is_cancelled_and_waited_for() -> None:
    ended: list[int] = []

    async def work(n: int) -> int:
        try:
            if n:
                await asyncio.Event().wait()
        finally:
            ended.append(n)
        return n

    async with closing(as_finished([work(n) for n in range(3)], at_once=3)) as finished:
        async for _, result in finished:
            assert result == 0
            break
    assert sorted(ended) == [0, 1, 2]
