"""The garbage collector's pauses with every vendor imported: `gc.freeze()` after start beside the default.

The gateway is the real one; beside it runs the same with `gc.freeze` and `gc.set_threshold` made to do nothing.
"""

import gc
import time
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.figures import Figure, at_most
from benchmarks.load import Job
from benchmarks.measure import Case, Measured, Scale, interleaved
from benchmarks.rows.house import House, house
from benchmarks.servers import import_heavy

SESSIONS = 24
HEAVY = """
import gc, sys
{first}
from benchmarks.servers import import_heavy
import_heavy()
from databot.cli.main import main
main()
"""


async def tail_gc(scale: Scale) -> Sequence[Figure]:
    """The slowest turns of a gateway with a heavy heap, and how long one full collection stops such a process."""
    return [turns_figure(await tails(scale)), collection()]


async def tails(scale: Scale) -> Measured:
    """p99 of a turn, frozen and by default."""
    with ExitStack() as stack:
        cases: dict[str, Case] = {}
        for name, first in (
            ("frozen", ""),
            ("default", "gc.freeze = gc.set_threshold = lambda *_: None"),
        ):
            at = stack.enter_context(
                house(latency_ms=10, program=("-c", HEAVY.format(first=first)))
            )
            cases[name] = tail_case(at, at.job(SESSIONS, scale.count(2_000, 200)))
        return await interleaved(cases, scale.rounds)


def tail_case(at: House, job: Job) -> Case:
    async def case() -> float:
        return at.driver.run(job).p99_ms

    return case


def turns_figure(found: Measured) -> Figure:
    return Figure(
        row="tail_gc",
        what="p99 of a turn",
        value=found.value("frozen"),
        unit="ms",
        baseline=found.value("default"),
        against="gc defaults",
        ratio=found.ratio("frozen", "default"),
        target=at_most(0.25),
    )


def collection() -> Figure:
    """One full collection in a process that has imported everything, before and after freezing."""
    import_heavy()
    gc.collect()
    default = pause_ms()
    gc.freeze()
    frozen = pause_ms()
    return Figure(
        row="tail_gc",
        what="pause of one full collection",
        value=frozen,
        unit="ms",
        baseline=default,
        against="gc defaults",
        ratio=frozen / default,
        target=at_most(0.25),
    )


def pause_ms() -> float:
    begun = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - begun) * 1000
