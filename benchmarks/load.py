"""The load generator: a process of its own, so that what it costs is not charged to what it measures.

    python -m benchmarks.load

reads one job a line from stdin (JSON, the fields of `Job`) and answers each with one line (the fields of `Load`).
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import aiohttp
import orjson
import uvloop

from benchmarks.measure import percentile

REQUEST_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do: `requests` altogether, from `connections` clients that each wait for their answer.

    With a `body` it is POSTed, and `session` puts a session name into it: `client` one for each client, `new` one for
    each request. With `frame` it is a WebSocket: each client sends the frame, numbered, and waits for a frame that
    holds `until`. `tag` begins the names of sessions and frames; the driver makes each job's another.
    """

    url: str
    connections: int
    requests: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: dict[str, Any] | None = None
    session: str = ""
    tag: str = ""
    frame: dict[str, Any] | None = None
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of it: seconds of the clock, milliseconds a request, and answers that were not good."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    first_error: str

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.errors) / self.seconds


class Run:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._left = count(1)
        self._latencies: list[float] = []
        self._errors: list[str] = []

    async def finish(self) -> Load:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            begun = time.perf_counter()
            client = self._talk if self._job.frame is not None else self._ask
            async with asyncio.TaskGroup() as group:
                for number in range(self._job.connections):
                    group.create_task(client(session, number))
            seconds = time.perf_counter() - begun
        latencies = self._latencies or [0.0]
        return Load(
            requests=self._job.requests,
            seconds=seconds,
            p50_ms=percentile(latencies, 0.5),
            p99_ms=percentile(latencies, 0.99),
            max_ms=max(latencies),
            errors=len(self._errors),
            first_error=self._errors[0] if self._errors else "",
        )

    async def _repeat(self, once: Callable[[int], Awaitable[str]]) -> None:
        """One client: the next request until all are made; `once` says what was wrong with the answer."""
        while (number := next(self._left)) <= self._job.requests:
            begun = time.perf_counter()
            wrong = await once(number)
            self._latencies.append((time.perf_counter() - begun) * 1000)
            if wrong:
                self._errors.append(wrong)

    async def _ask(self, session: aiohttp.ClientSession, client: int) -> None:
        job = self._job
        method = "GET" if job.body is None else "POST"
        headers = {"Content-Type": "application/json", **job.headers}

        async def once(number: int) -> str:
            data = None if job.body is None else self._body(job.body, client, number)
            request = session.request(method, job.url, data=data, headers=headers)
            async with request as response:
                text = await response.read()
                return "" if response.status < 300 else f"{response.status}: {text[:200]!r}"

        await self._repeat(once)

    def _body(self, body: dict[str, Any], client: int, number: int) -> bytes:
        names = {"client": f"{self._job.tag}-{client}", "new": f"{self._job.tag}-n{number}"}
        session = {"session_id": names[self._job.session]} if self._job.session else {}
        return orjson.dumps(body | session)

    async def _talk(self, session: aiohttp.ClientSession, client: int) -> None:
        job = self._job
        async with session.ws_connect(job.url, headers=job.headers) as socket:

            async def once(number: int) -> str:
                name = {"id": f"{job.tag}-{number}", "session_id": f"{job.tag}-{client}"}
                await socket.send_str(orjson.dumps((job.frame or {}) | name).decode())
                while True:
                    frame = await socket.receive()
                    if frame.type is not aiohttp.WSMsgType.TEXT:
                        return f"closed: {frame.data!r}"
                    if job.until in frame.data:
                        return ""
                    if '"error"' in frame.data:
                        return frame.data[:200]

            await self._repeat(once)


def main() -> None:
    """Do one job after another until stdin ends."""
    for line in sys.stdin:
        load = uvloop.run(Run(Job(**orjson.loads(line))).finish())
        sys.stdout.write(orjson.dumps(asdict(load)).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
