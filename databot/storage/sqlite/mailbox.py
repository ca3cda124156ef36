"""From a worker thread back to the event loop: many results, one wake-up.

Waking a loop costs a system call; a commit that ends sixty transactions wakes it once. The way there is `handover`.
"""

import asyncio
from collections import deque
from typing import Any

Outcome = tuple["asyncio.Future[Any]", Any]
"""A waiting future, and its result or the exception it ends with."""


class Mailbox:
    """Delivers outcomes to futures of one loop, in order, from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outcomes: deque[Outcome] = deque()
        self._woken = False

    def put(self, outcome: Outcome) -> None:
        """Hand over, without waking the loop; from a worker thread."""
        self._outcomes.append(outcome)

    def wake(self) -> None:
        """Have everything delivered; from a worker thread."""
        if self._woken:
            return  # `deliver` clears the mark before it looks, so it will see what was put
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self.deliver)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._outcomes.clear()

    def deliver(self) -> None:
        """Give everybody what has come for them; on the loop."""
        self._woken = False
        while self._outcomes:
            future, value = self._outcomes.popleft()
            if future.done():  # its caller was cancelled
                continue
            if isinstance(value, BaseException):
                future.set_exception(value)
            else:
                future.set_result(value)
