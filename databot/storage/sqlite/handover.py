"""From the event loop to worker threads: what is asked within one turn of the loop goes over together.

A thread that is woken contends with the loop for the interpreter, and changing hands costs more than most statements do.
Woken for each single unit, the threads of the store took a third of what a core could do. The way back is `Mailbox`.
"""

import asyncio
from collections import deque
from contextlib import suppress
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """Items from one loop to the threads that take them, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathered: list[T] = []
        self._items: deque[T] = deque()
        self._bell = Lock()  # free when there may be something to take: any number of rings are one
        self._bell.acquire()
        self.closed = False

    def __len__(self) -> int:
        """How many items nobody has taken."""
        return len(self._items) + len(self._gathered)

    def give(self, item: T) -> None:
        """Hand over, with all that this turn of the loop gives; on the loop."""
        self._gathered.append(item)
        if len(self._gathered) == 1:
            self._loop.call_soon(self._pass_on)

    def close(self) -> None:
        """Nothing comes any more; on the loop."""
        self._pass_on()
        self.closed = True
        self.ring()

    def take(self, most: int, patience_s: float | None = None) -> list[T]:
        """What waits, so many at most; waits for it, so long at most. Nothing when time is over, or all has come."""
        while True:
            over = self.closed  # looked at before the items: whatever came before the end is found
            taken = self._pop(most)
            if over:
                self.ring()  # for the other threads that wait
            if taken or over:
                return taken
            if not self._bell.acquire(timeout=-1 if patience_s is None else patience_s):
                return []

    def ring(self) -> None:
        """Have a thread look again."""
        with suppress(RuntimeError):  # it rings already
            self._bell.release()

    def _pop(self, most: int) -> list[T]:
        taken: list[T] = []
        try:
            while len(taken) < most:
                taken.append(self._items.popleft())
        except (
            IndexError
        ):  # that was all: asking first would not help, another thread may be faster
            pass
        return taken

    def _pass_on(self) -> None:
        if self._gathered:
            self._items.extend(self._gathered)
            self._gathered = []
            self.ring()
