"""A model that streams to very many at once and costs little: one clock sends everybody's next token.

    python -m benchmarks.tokens --tokens 400 --every-ms 50

prints its address and serves until it is told to stop. Every answer begins at once and is the same. It reads no more of
HTTP than where a request ends. Scripts and faults are `databot.testing.model_server`'s; a timer for each token of a
thousand streams would take that server a whole core.
"""

import argparse
import asyncio
import signal
import sys
from collections import deque
from typing import cast

import uvloop

from databot.testing.model_wire import Say, stream_plan

PHASES = 10
"""The clock ticks so often in the time between two tokens of a stream."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def words(tokens: int) -> tuple[str, ...]:
    """The answer, cut as it is streamed."""
    return tuple(f"word{number} " for number in range(tokens))


class Answer(asyncio.Protocol):
    """One connection: a request after another, each with the whole answer."""

    def __init__(self, chunks: list[bytes], wheel: list["deque[Answer]"], now: list[int]) -> None:
        self._chunks = chunks
        self._wheel = wheel
        self._now = now
        self._next = 0
        self._read = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        if not end or len(body) < int(length.split(b"\r\n")[0] or 0):
            return
        assert self._transport is not None
        self._read = b""
        self._transport.write(HEAD + b"".join(self._chunks[:2]))  # who speaks, and the first word
        self._next = 2
        self._wheel[self._now[0]].append(self)

    def send(self) -> bool:
        """The next token; says whether there is another."""
        if self._transport is None:
            return False
        last = self._next >= len(self._chunks) - 1
        self._transport.write(self._chunks[self._next])
        self._next += 1
        return not last


async def tick(wheel: list["deque[Answer]"], now: list[int], every_s: float) -> None:
    """Send everybody of a phase the next token, one phase after another, by the clock."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += every_s / PHASES
        await asyncio.sleep(max(0, due - loop.time()))
        phase = (now[0] + 1) % PHASES
        wheel[phase] = deque(answer for answer in wheel[phase] if answer.send())
        now[0] = phase


def chunks_of(tokens: int) -> list[bytes]:
    """The stream, cut into what is sent at a time: all that follows the last word goes with it."""
    events = stream_plan(Say(pieces=words(tokens)), "test-model", include_usage=True).events
    framed = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return [*framed[: tokens + 1], b"".join(framed[tokens + 1 :]) + b"0\r\n\r\n"]


async def serve(tokens: int, every_s: float) -> None:
    """Serve until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    chunks, now = chunks_of(tokens), [0]
    wheel: list[deque[Answer]] = [deque() for _ in range(PHASES)]
    server = await loop.create_server(
        lambda: Answer(chunks, wheel, now), "127.0.0.1", 0, backlog=2_048
    )
    async with server, asyncio.TaskGroup() as group:
        ticking = group.create_task(tick(wheel, now, every_s))
        port = server.sockets[0].getsockname()[1]
        sys.stdout.write(f"ready http://127.0.0.1:{port}/v1\n")
        sys.stdout.flush()
        await stop.wait()
        ticking.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tokens")
    parser.add_argument("--tokens", type=int, default=400, help="of an answer")
    parser.add_argument("--every-ms", type=float, default=50.0, help="between two tokens")
    given = parser.parse_args()
    uvloop.run(serve(given.tokens, given.every_ms / 1000))


if __name__ == "__main__":
    main()
