"""How things are measured: rounds that alternate between the cases, medians, and CPU time rather than the clock.

On a machine with other work the clock tells about the neighbours; CPU time much less so, and the ratio of two cases
that took turns least of all. `spin` is a fixed loop whose time shows how noisy the machine is.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Case = Callable[[], Awaitable[float]]
SPIN_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured. `quick` is enough to see that a row works; `rounds` are the turns each case takes."""

    quick: bool
    rounds: int

    def count(self, full: int, quick: int | None = None) -> int:
        """A number of operations: `full`, or a small part of it."""
        return full if not self.quick else (quick or max(1, full // 20))


def make_scale(*, quick: bool) -> Scale:
    """The scale of a whole run, or of a quick one."""
    return Scale(quick=quick, rounds=2 if quick else 5)


@dataclass(frozen=True, slots=True)
class Measured:
    """What each case cost, round by round."""

    rounds: Mapping[str, Sequence[float]]

    def value(self, name: str) -> float:
        """The median of a case."""
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, baseline: str) -> float:
        """The median of the rounds' ratios."""
        pairs = zip(self.rounds[name], self.rounds[baseline], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


async def interleaved(cases: Mapping[str, Case], rounds: int) -> Measured:
    """Run each case once a round, one after another, for that many rounds."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(await case())
    return Measured(found)


async def cpu_us(operations: int, work: Callable[[], Awaitable[object]]) -> float:
    """CPU microseconds of this process, all threads, for each of the operations that `work` does."""
    begun = time.process_time()
    await work()
    return (time.process_time() - begun) / operations * 1e6


def cpu_seconds(pid: int) -> float:
    """CPU seconds of another process and all its threads. Linux only."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB. Linux only."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def spin_ms() -> float:
    """Milliseconds of the clock for a fixed loop: about 40 on an idle machine."""
    begun = time.perf_counter()
    total = 0
    for number in range(SPIN_STEPS):
        total += number & 7
    return (time.perf_counter() - begun) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
