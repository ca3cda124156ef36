"""Reads messages from stdin without blocking the event loop or the end of the process.

A daemon thread on the bare descriptor: the buffered `sys.stdin` would hold a lock that the interpreter waits for when
it ends while a read is still open.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

CHUNK = 65_536
WAITING = 100
"""Lines read ahead of the answers."""


def read_all(descriptor: int = 0) -> str:
    """Everything up to the end of the input."""
    return b"".join(chunks(descriptor)).decode("utf-8", "replace")


def chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, CHUNK):
        yield chunk


def split_lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """The lines of a byte stream; the last one needs no newline."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


async def read_lines(descriptor: int = 0) -> AsyncGenerator[str]:
    """The lines of stdin as they come, at most `WAITING` of them ahead."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(WAITING)

    def pump() -> None:
        with suppress(OSError):
            for line in split_lines(chunks(descriptor)):
                room.acquire()
                give(line)
        give(None)

    def give(line: str | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            loop.call_soon_threadsafe(queue.put_nowait, line)

    threading.Thread(target=pump, name="databot-stdin", daemon=True).start()
    while (line := await queue.get()) is not None:
        room.release()
        yield line
