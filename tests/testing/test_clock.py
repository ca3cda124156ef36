"""The fake clock moves only when told to."""

import asyncio

from databot.testing.clock import START, FakeClock, SequentialIds


async def test_a_sleeper_wakes_when_the_clock_has_been_moved_far_enough() -> None:
    clock = FakeClock()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        sleeper = group.create_task(clock.sleep(10))
        await clock.until_sleeping()
        clock.advance(9)
        await asyncio.sleep(0)
        assert not sleeper.done()
        clock.advance(1)
    assert clock.slept == [10]
    assert (clock.now() - START).total_seconds() == 10
    assert clock.monotonic() == 10


async def test_a_hurried_clock_moves_itself() -> None:
    clock = FakeClock(hurried=True)
    await clock.sleep(3600)
    assert clock.monotonic() == 3600


async def test_a_cancelled_sleeper_leaves_nothing_behind() -> None:
    clock = FakeClock()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        sleeper = group.create_task(clock.sleep(10))
        await clock.until_sleeping()
        sleeper.cancel()
    clock.advance(10)
    assert clock.slept == [10]


def test_sequential_ids_sort_in_the_order_they_were_made() -> None:
    ids = SequentialIds()
    made = [ids.new("turn") for _ in range(12)]
    assert made == sorted(made)
    assert made[0] == "turn_000001"
