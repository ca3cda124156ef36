import asyncio
from threading import Event, Thread

from databot.storage.sqlite.handover import Handover

LIMIT_S = 30.0


async def test_what_one_turn_of_the_loop_gives_is_taken_together_and_in_order() -> None:
    handover: Handover[int] = Handover(asyncio.get_running_loop())
    taking = asyncio.ensure_future(asyncio.to_thread(handover.take, 10, LIMIT_S))
    for number in range(12):
        handover.give(number)
    assert len(handover) == 12
    assert await taking == list(range(10))
    assert await asyncio.to_thread(handover.take, 10, LIMIT_S) == [10, 11]


async def test_nothing_comes_when_the_time_is_over() -> None:
    handover: Handover[int] = Handover(asyncio.get_running_loop())
    assert await asyncio.to_thread(handover.take, 10, 0.0) == []
    handover.give(1)
    assert await asyncio.to_thread(handover.take, 10, LIMIT_S) == [1]
    assert await asyncio.to_thread(handover.take, 10, 0.0) == []


async def test_closing_ends_every_thread_that_waits_after_all_was_taken() -> None:
    handover: Handover[int] = Handover(asyncio.get_running_loop())
    taken: list[int] = []
    begun = [Event() for _ in range(3)]

    def work(started: Event) -> None:
        started.set()
        while items := handover.take(1):
            taken.extend(items)

    threads = [Thread(target=work, args=(event,), daemon=True) for event in begun]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: all(event.wait(LIMIT_S) for event in begun))
    for number in range(100):
        handover.give(number)
    handover.close()
    for thread in threads:
        await asyncio.to_thread(thread.join, LIMIT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(taken) == list(range(100))
