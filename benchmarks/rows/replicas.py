"""Durable turns a second of one replica and of three that share PostgreSQL and Redis, beside the loop that keeps nothing.

Each replica is a process with a scripted model inside; a turn that one accepts may run at any of them. All of it, both
servers included, runs on the machine's cores together: on two of them three replicas share what one had, so that this
tells what a turn costs altogether and not how it would scale.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Figure
from benchmarks.measure import Case, Measured, Scale, interleaved
from benchmarks.processes import environment
from benchmarks.shared import can_share, own_redis, own_schema

SESSIONS = 60
REPLICAS = 3
TAGS = count()


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that waits for jobs."""

    process: "subprocess.Popen[str]"

    def tell(self, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(orjson.dumps(job).decode() + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """Its next line. Raises `RuntimeError` when it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a replica ended")
        return line

    def end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.wait(60)


def start(settings: dict[str, Any] | None) -> Replica:
    """A replica that is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.replica", orjson.dumps({"settings": settings}).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    replica = Replica(process)
    replica.hear()
    return replica


def rate_case(replicas: Sequence[Replica], turns: int) -> Case:
    """Turns a second of all together: the conversations are divided among them."""

    async def case() -> float:
        sessions = SESSIONS // len(replicas)
        for replica in replicas:
            replica.tell({"tag": f"t{next(TAGS)}", "sessions": sessions, "turns": turns})
        return SESSIONS * turns / max(float(replica.hear()) for replica in replicas)

    return case


async def turns_replicas(scale: Scale) -> Sequence[Figure]:
    """Durable turns a second, by the clock; nothing where there is no PostgreSQL or no Redis."""
    if not can_share():
        return []
    turns = scale.count(10, 2)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-"))
        url = await stack.enter_async_context(own_schema(os.environ["DATABOT_TEST_POSTGRES_URL"]))
        redis = stack.enter_context(own_redis(Path(folder)))
        many = {"storage": {"url": url}, "dispatch": {"url": redis}}
        one = {"storage": {"url": url}}
        cases: dict[str, Case] = {}
        for name, settings, number in (
            ("volatile", None, 1),
            ("alone", one, 1),
            ("three", many, REPLICAS),
        ):
            replicas = [start(settings) for _ in range(number)]
            for replica in replicas:
                stack.callback(replica.end)
            cases[name] = rate_case(replicas, turns)
            await cases[name]()
        found = await interleaved(cases, scale.rounds)
    return [
        figure(found, "alone", "1 replica on PostgreSQL"),
        figure(found, "three", f"{REPLICAS} replicas, with Redis"),
    ]


def figure(found: Measured, case: str, what: str) -> Figure:
    return Figure(
        row="turns_replicas",
        what=what,
        value=found.value(case),
        unit="/s",
        baseline=found.value("volatile"),
        against="kept in memory, 1 process",
        ratio=found.ratio(case, "volatile"),
        note=f"best {max(found.rounds[case]):,.0f}/s; all on {os.cpu_count()} cores",
    )
