"""What a task may ask about itself."""

import asyncio


def was_asked_to_stop() -> bool:
    """Whether somebody cancelled the running task.

    A `CancelledError` without that comes from something the task waited for, and nobody means the task.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
