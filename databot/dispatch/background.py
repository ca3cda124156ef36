"""Loops that run as long as something is open.

They end when it is left, and what went wrong in the meantime is told as it is: not in a group, as a bare `TaskGroup`
would tell it.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run the loops beside the body of the `with`, and cancel them at its end. None of them may raise."""
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop) for loop in loops]
        try:
            yield
        except BaseException as error:  # boundary: raised again below, outside the group
            failure = error
        for task in tasks:
            task.cancel()
    if failure is not None:
        raise failure
