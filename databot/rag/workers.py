"""A few threads for libraries that block, with a bound on what waits and a limit on every call.

Not `concurrent.futures`: a call that never returns (a vector store that hangs) must neither hold up the event loop nor
keep the process from ending, so the threads are daemons and a caller stops waiting when its time is over.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from databot.rag.base import RetrievalError

T = TypeVar("T")


class Workers:
    """`threads` threads that are started when first needed; at most `waiting` calls wait for them."""

    def __init__(self, name: str, *, threads: int = 1, waiting: int = 64) -> None:
        self._name = name
        self._threads = threads
        self._waiting = waiting
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
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

    def close(self) -> None:
        """Let idle threads end; a call that hangs keeps its thread, which ends with the process."""
        if not self._closed:
            self._closed = True
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
            if not future.set_running_or_notify_cancel():
                continue
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
