"""The other end of the load generator: gives it jobs, and measures the server while it works."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count

import orjson

from benchmarks.load import Job, Load
from benchmarks.measure import cpu_seconds
from benchmarks.processes import CLIENT, end, environment, pin

JOBS = count(1)


@dataclass(frozen=True, slots=True)
class Driver:
    """A load generator that waits for jobs."""

    process: "subprocess.Popen[str]"

    def run(self, job: Job) -> Load:
        """Do the job. Raises `RuntimeError` when an answer was not good: such figures mean nothing."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        named = {**asdict(job), "tag": job.tag or f"job{next(JOBS)}"}
        stdin.write(orjson.dumps(named).decode() + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended in the middle of {job.url}")
        load = Load(**orjson.loads(line))
        if load.errors:
            raise RuntimeError(f"{load.errors} of {load.requests} failed: {load.first_error}")
        return load

    def cpu_us(self, pid: int, job: Job) -> float:
        """CPU microseconds that the process `pid` takes for each request of the job."""
        begun = cpu_seconds(pid)
        load = self.run(job)
        return (cpu_seconds(pid) - begun) / load.requests * 1e6


@contextmanager
def load_generator() -> Generator[Driver]:
    """A load generator on a core of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        pin(CLIENT, process.pid)
        yield Driver(process)
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        end(process)
