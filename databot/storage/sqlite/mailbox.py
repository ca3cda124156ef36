"""From a worker thread back to the event loop: many results, one wake-up.

Waking a loop costs a system call; a commit that ends sixty transactions wakes it once.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

Outcome = tuple["asyncio.Future[Any]", Any]
"""A waiting future, and its result or the exception it ends with."""


class Mailbox:
    """Delivers outcomes to futures of one loop, in order, from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outcomes: deque[Outcome] = deque()
        self._woken = False

    def post(self, outcomes: Iterable[Outcome]) -> None:
        """Hand over; from a worker thread."""
        self._outcomes.extend(outcomes)
        if self._woken:
            return  # `_deliver` clears the mark before it looks, so it will see these
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._outcomes.clear()

    def _deliver(self) -> None:
        self._woken = False
        while self._outcomes:
            future, value = self._outcomes.popleft()
            if future.done():  # its caller was cancelled
                continue
            if isinstance(value, BaseException):
                future.set_exception(value)
            else:
                future.set_result(value)
