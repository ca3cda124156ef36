"""A process that has imported everything and does nothing but fork: each order it reads is run in a child of its own.

Run as `python -m tests.proof.template`; orders come as JSON lines, and how each child ended goes back the same way.
It has gone through the first order itself, so that all that is imported late is there, and has one thread again
since then: a fork is a whole process.
"""

import asyncio
import gc
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import orjson

from tests.proof.house import House, Order

PATIENCE_S = 60
"""A child that hangs with its event loop is ended by the clock of the operating system."""


async def run(order: Order) -> None:
    await House(order).run()


def child(order: Order) -> int:
    signal.alarm(PATIENCE_S)
    with (Path(order.folder) / f"log-{order.run}").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            asyncio.run(run(order))
        except BaseException:  # whatever it is, the child must not go on as the template
            traceback.print_exc()
            return 1
        finally:
            sys.stderr.flush()
    return 0


def answer(code: int) -> None:
    sys.stdout.buffer.write(orjson.dumps(code) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    first, *_ = sys.stdin.buffer.readline().splitlines()
    asyncio.run(run(Order(**orjson.loads(first))))
    answer(0)
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    for line in sys.stdin.buffer:
        order = Order(**orjson.loads(line))
        process = os.fork()
        if process == 0:
            os._exit(child(order))
        _, status = os.waitpid(process, 0)
        answer(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
