"""The points of a run: instants that have a name, at any of which the process can be made to die.

A name is reached once in a run. Work that recurs by the clock is numbered, and not followed for ever.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager

MOST_ALIKE = 3
"""A call of the same name is followed so many times in a run."""


class Points:
    """Tells where a run has come, and ends the process, as `kill -9` does, at the point named `die_at`.

    `reached` has the points in order. `on_progress` is called whenever a call has come back.
    """

    def __init__(self, die_at: str | None = None) -> None:
        self._die_at = die_at
        self._alike: Counter[str] = Counter()
        self._under_way: dict[str, None] = {}
        self._told: dict[str, None] = {}
        self.reached: dict[str, None] = {}
        self.on_progress: Callable[[], None] = lambda: None

    def reach(self, name: str) -> None:
        if name in self.reached:
            return
        self.reached[name] = None
        if name == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def call(self, name: str, *, writes: bool = False, told_early: bool = False) -> Generator[None]:
        """A call from its beginning to its end.

        One that `writes` has its commit in between; `told_early` of one that comes back before that.
        """
        self._alike[name] += 1
        number = self._alike[name]
        if number > MOST_ALIKE:
            yield
            return
        if number > 1:
            name = f"{name} ({number})"
        self.reach(f"{name}: before")
        if writes:
            self._under_way[name] = None
        try:
            yield
        finally:
            self._under_way.pop(name, None)
        if told_early:
            self._told[name] = None
        self.reach(f"{name}: after")
        self.on_progress()

    def before(self, statement: str) -> None:
        """A statement is about to be run; may be any thread."""
        if ends_a_transaction(statement):
            for name in [*self._told, *self._under_way]:
                self.reach(f"{name}: before its commit")

    def after(self, statement: str) -> None:
        """A statement was run, and nobody has been told."""
        if ends_a_transaction(statement):
            for name in [*self._told, *self._under_way]:
                self.reach(f"{name}: after its commit")
            self._told.clear()


def ends_a_transaction(statement: str) -> bool:
    """COMMIT itself; what PostgreSQL runs alone comes here as that."""
    return statement.startswith("COMMIT")
