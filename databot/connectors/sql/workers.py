"""Threads for clients that block: as many as the pool allows, each job stoppable.

Used by SQLite, DuckDB and the SQLAlchemy escape hatch. The event loop only waits; stopping a job is asking the engine to
interrupt it, again and again until the thread is free, because one interrupt can fall before the statement began.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from databot.connectors.sql.driver import Target
from databot.connectors.sql.pool import Gate
from databot.connectors.sql.problems import closed, timed_out

T = TypeVar("T")
INTERRUPT_EVERY_S = 0.05
SETTLE_S = 5.0
"""Longest wait for an interrupted thread. One that stays is given up; the executor's bound still counts it."""


class Stoppable(Protocol):
    """Something whose work in another thread can be ended from the event loop's thread."""

    def stop(self) -> None:
        """End the work, now or as soon as it begins. Never raises, never blocks."""
        ...


class Workers:
    """Runs blocking work in at most `pool_size` threads."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._gate = Gate(target)
        self._threads = ThreadPoolExecutor(
            max_workers=target.pool_size, thread_name_prefix=f"sql-{target.name}"
        )
        self._running: set[Stoppable] = set()
        self._closed = False

    async def run(self, work: Callable[[], T], job: Stoppable, timeout_s: float) -> T:
        """The result of `work()`; a time limit or a cancellation stops `job` and waits until the thread is free."""
        async with self._gate.slot():
            if self._closed:
                raise closed(self._target)
            thread: Future[T] = self._threads.submit(work)
            waiting = asyncio.wrap_future(thread)
            self._running.add(job)
            try:
                async with asyncio.timeout(timeout_s):
                    await asyncio.wait(
                        {waiting}
                    )  # unlike `await waiting`, leaves it be when cancelled
                return waiting.result()
            except TimeoutError as error:
                raise timed_out(self._target, timeout_s) from error
            finally:
                await settle(thread, waiting, job)
                self._running.discard(job)

    async def aclose(self) -> None:
        """Stop what runs and end the threads."""
        if self._closed:
            return
        self._closed = True
        for job in self._running:
            job.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await wait_until_idle(self._running)
        await asyncio.to_thread(self._threads.shutdown, wait=not self._running)


async def settle(thread: "Future[T]", waiting: "asyncio.Future[T]", job: Stoppable) -> None:
    """Interrupt `job` until its thread is free, at most for `SETTLE_S`."""
    for _ in range(round(SETTLE_S / INTERRUPT_EVERY_S)):
        if thread.done() or thread.cancel():
            break
        job.stop()
        await asyncio.wait({waiting}, timeout=INTERRUPT_EVERY_S)
    if waiting.done() and not waiting.cancelled():
        waiting.exception()  # taken, or the loop would report an error nobody waits for any more


async def wait_until_idle(running: set[Stoppable]) -> None:
    for _ in range(round(SETTLE_S / INTERRUPT_EVERY_S)):
        if not running:
            break
        await asyncio.sleep(INTERRUPT_EVERY_S)
