"""Calls in threads: bounded, timed, and never able to hold the loop or the process."""

import asyncio
import threading

import pytest

from databot.rag import workers as module
from databot.rag.base import RetrievalError
from databot.rag.workers import Workers
from tests.rag.kit import WAIT_S


async def test_work_runs_in_a_daemon_thread_and_its_result_comes_back() -> None:
    workers = Workers("a part")
    thread = await workers.run(threading.current_thread, timeout_s=WAIT_S)
    assert thread.daemon
    assert thread is not threading.current_thread()
    await workers.aclose()


async def test_what_the_work_raises_is_raised() -> None:
    workers = Workers("a part")
    with pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 // 0, timeout_s=WAIT_S)
    await workers.aclose()


async def test_a_panic_outside_exception_becomes_an_ordinary_error() -> None:
    class Panic(BaseException):
        pass

    def fail() -> None:
        raise Panic("native code gave up")

    workers = Workers("a part")
    with pytest.raises(RuntimeError, match="native code gave up"):
        await workers.run(fail, timeout_s=WAIT_S)
    await workers.aclose()


async def test_work_that_hangs_is_not_waited_for_and_the_loop_goes_on() -> None:
    release, workers = threading.Event(), Workers("a part")
    with pytest.raises(RetrievalError, match=r"a part gave no answer within 0\.05 s"):
        await workers.run(release.wait, timeout_s=0.05)
    release.set()
    assert await workers.run(lambda: "works again", timeout_s=WAIT_S) == "works again"
    await workers.aclose()


async def test_work_given_up_before_it_began_never_runs() -> None:
    release, done = threading.Event(), threading.Event()
    workers = Workers("a part")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(workers.run(release.wait, timeout_s=WAIT_S))
        await asyncio.sleep(0)
        with pytest.raises(RetrievalError):
            await workers.run(done.set, timeout_s=0.05)
        release.set()
        await first
    await workers.run(lambda: None, timeout_s=WAIT_S)
    assert not done.is_set()
    await workers.aclose()


async def test_too_many_waiting_calls_are_refused_at_once() -> None:
    release, workers = threading.Event(), Workers("a part", waiting=2)
    async with asyncio.TaskGroup() as group:
        started = threading.Event()
        group.create_task(workers.run(lambda: (started.set(), release.wait()), timeout_s=WAIT_S))
        await asyncio.to_thread(started.wait, WAIT_S)
        for _ in range(2):
            group.create_task(workers.run(lambda: None, timeout_s=WAIT_S))
        await asyncio.sleep(0)
        with pytest.raises(RetrievalError, match="busy"):
            await workers.run(lambda: None, timeout_s=WAIT_S)
        release.set()
    await workers.aclose()


async def test_nothing_runs_after_closing() -> None:
    workers = Workers("a part")
    await workers.aclose()
    await workers.aclose()
    with pytest.raises(RetrievalError, match="closed"):
        await workers.run(lambda: None, timeout_s=1)


async def test_closing_waits_for_work_that_has_begun_and_refuses_what_waits() -> None:
    started, release, never = (threading.Event() for _ in range(3))
    workers = Workers("a part")

    def work() -> None:
        started.set()
        release.wait(WAIT_S)

    async def waiting() -> None:
        with pytest.raises(RetrievalError, match="closed"):
            await workers.run(never.set, timeout_s=WAIT_S)

    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        group.create_task(workers.run(work, timeout_s=WAIT_S))
        await asyncio.to_thread(started.wait, WAIT_S)
        refused = group.create_task(waiting())
        await asyncio.sleep(0)
        closing = group.create_task(workers.aclose())
        await refused
        assert not closing.done()
        release.set()
    assert not never.is_set()


async def test_closing_does_not_wait_for_ever_for_work_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.05)
    release, workers = threading.Event(), Workers("a part")
    with pytest.raises(RetrievalError):
        await workers.run(release.wait, timeout_s=0.05)
    async with asyncio.timeout(WAIT_S):
        await workers.aclose()
    release.set()
