"""A few threads for libraries that block, with a bound on what waits and a limit on every call.

Not `concurrent.futures`: a call that never returns (a vector store that hangs) must neither hold up the event loop nor
keep the process from ending, so the threads are daemons and a caller stops waiting when its time is over. A daemon thread
that is inside native code when the interpreter ends takes the process down with it, so closing waits for work that has
begun, within a bound.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from databot.rag.base import RetrievalError

T = TypeVar("T")
CLOSE_TIMEOUT_S = 10.0


class Workers:
    """`threads` threads that are started when first needed; at most `waiting` calls wait for them."""

    def __init__(self, name: str, *, threads: int = 1, waiting: int = 64) -> None:
        self._name = name
        self._threads = threads
        self._waiting = waiting
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._running: set[Future[Any]] = set()
        self._started = 0
        self._closed = False

    async def run(self, work: Callable[[], T], *, timeout_s: float) -> T:
        """The result of `work()`. Raises what it raises, or `RetrievalError` when it is late or too much waits.

        Work that has begun is not interrupted: it ends by itself and its result is dropped.
        """
        if self._closed:
            raise RetrievalError(f"{self._name} is closed")
        if self._calls.qsize() >= self._waiting:
            raise RetrievalError(f"{self._name} is busy: {self._waiting} calls are waiting")
        self._start_one()
        future: Future[T] = Future()
        self._calls.put((future, work))
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise RetrievalError(f"{self._name} gave no answer within {timeout_s:g} s") from error

    async def aclose(self) -> None:
        """Refuse what waits, wait for what has begun, let the threads end. Safe to call more than once.

        Work that hangs is given up after a while: its thread ends with the process.
        """
        self._close()
        running = [asyncio.wrap_future(future) for future in tuple(self._running)]
        if running:
            done, _ = await asyncio.wait(running, timeout=CLOSE_TIMEOUT_S)
            for future in done:
                future.exception()  # nobody else asks for it any more

    def _close(self) -> None:
        self._closed = True
        with suppress(queue.Empty):
            while call := self._calls.get_nowait():
                if call[0].set_running_or_notify_cancel():
                    call[0].set_exception(RetrievalError(f"{self._name} is closed"))
        for _ in range(self._started):
            self._calls.put(None)

    def _start_one(self) -> None:
        if self._started < self._threads:
            self._started += 1
            name = f"databot {self._name} {self._started}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            self._running.add(future)
            if future.set_running_or_notify_cancel():
                _do(future, work)
            self._running.discard(future)


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        result = work()
    except BaseException as error:  # boundary: worker thread
        future.set_exception(_ordinary(error))
    else:
        future.set_result(result)


def _ordinary(error: BaseException) -> Exception:
    """A native library's panic is no `Exception`; as one it can be handled like any other failure."""
    if isinstance(error, Exception):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
