"""What a long run measures from outside: memory, files and threads of a process, and how they grow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

WARM = 0.3
"""Of a run, what is left out of a slope: caches fill, and libraries are loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look: at so many seconds, so much."""

    at_s: float
    memory_mb: float
    files: int
    threads: int
    log_mb: float


@dataclass(slots=True)
class Probe:
    """Looks at a process again and again; `log_mb` tells the size of the write-ahead log it leaves."""

    pid: int
    samples: list[Sample] = field(default_factory=list[Sample])

    def look(self, at_s: float, log_mb: float) -> None:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines()
        )
        self.samples.append(
            Sample(
                at_s=at_s,
                memory_mb=int(status["VmRSS"].split()[0]) / 1024,
                files=len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
                threads=int(status["Threads"]),
                log_mb=log_mb,
            )
        )

    def report(self, name: str) -> str:
        """How it grew once it was warm, and the most there was."""
        warm = self.samples[int(len(self.samples) * WARM) :]
        memory = slope(warm, lambda sample: sample.memory_mb)
        files = slope(warm, lambda sample: sample.files)
        return (
            f"{name}: memory {warm[0].memory_mb:.0f} to {warm[-1].memory_mb:.0f} MB ({memory:+.1f} MB/h), "
            f"files {warm[0].files} to {warm[-1].files} ({files:+.0f}/h), "
            f"threads {warm[0].threads} to {warm[-1].threads}, "
            f"write-ahead log at most {max(sample.log_mb for sample in self.samples):.1f} MB"
        )


def slope(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    """By least squares, an hour."""
    times, values = [sample.at_s / 3600 for sample in samples], [of(sample) for sample in samples]
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - middle) ** 2 for time in times)
    if not spread:
        return 0.0
    return (
        sum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True))
        / spread
    )
