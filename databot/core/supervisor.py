"""Owned tasks: the only place where one is started outside a `TaskGroup`.

Every task started here has an owner that ends it: a `Supervisor` lives as long as its `async with`, and
`as_finished` as long as its loop. No task is ever left to the garbage collector, and no error in one is lost.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")


class Supervisor:
    """Starts background tasks and ends them all when it is left; one that fails is logged and does not harm others."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cancel_all()

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `work` beside everything else, until it ends or the supervisor is left."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel_all(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background task %s failed", task.get_name(), exc_info=task.exception())


async def as_finished(
    works: Sequence[Coroutine[Any, Any, T]], *, at_once: int
) -> AsyncIterator[tuple[int, T]]:
    """Run all, at most `at_once` at a time, and yield (position, result) as each ends.

    Leaving the loop early cancels the rest and waits for them.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(position: int, work: Coroutine[Any, Any, T]) -> tuple[int, T]:
        async with gate:
            return position, await work

    pending = {asyncio.create_task(one(n, work)) for n, work in enumerate(works)}
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
