"""A worker in a process of its own: `python -m tests.jobs.replica URL DATA_DIR NAME LEASE_S`.

It prints one line per job begun, and is to be killed or frozen by the test. A job `hold` never ends by itself.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from databot.jobs.base import JobContext
from databot.jobs.worker import JobWorker, WorkerOptions
from databot.storage.open import open_database
from databot.storage.work import make_work_store
from databot.types.clock import RandomIds, SystemClock


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def hold(context: JobContext) -> Mapping[str, Any]:
    say("begun", context.job.id)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("stopped", context.job.id)
        raise
    return {}


async def main(url: str, data_dir: Path, name: str, lease_s: float) -> None:
    clock = SystemClock()
    database = await open_database(url, exclusive=False)
    try:
        work = make_work_store(database, data_dir, clock, RandomIds(), lease_s=lease_s)
        options = WorkerOptions(lease_s=lease_s, look_s=0.05)
        await JobWorker(work.claims, {"hold": hold}, clock, name, options=options).run()
    finally:
        await database.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])))
