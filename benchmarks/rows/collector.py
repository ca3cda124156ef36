"""The garbage collector's pauses with every vendor imported: `gc.freeze()` after start beside the default."""

import gc
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.driver import Driver, load_generator
from benchmarks.figures import Figure, at_most
from benchmarks.load import Job
from benchmarks.measure import Case, Scale, interleaved
from benchmarks.processes import Started, running
from benchmarks.rows.doors import AUTH, CONNECTIONS, TEXT
from benchmarks.servers import import_heavy


async def tail_gc(scale: Scale) -> Sequence[Figure]:
    """The slowest answers of a heavy gateway, and how long one full collection stops it."""
    return [requests(await tails(scale)), collection()]


async def tails(scale: Scale) -> tuple[float, float, float]:
    """p99 with a frozen heap, p99 without, and the median of their ratios."""
    job = Job(
        url="/api/v1/messages",
        connections=CONNECTIONS,
        requests=scale.count(8_000),
        headers=AUTH,
        body={"message": TEXT},
    )
    with ExitStack() as stack:
        driver = stack.enter_context(load_generator())
        cases: dict[str, Case] = {}
        for name, options in (("frozen", ["--freeze"]), ("default", [])):
            arguments = ["-m", "benchmarks.servers", "lane", "--heavy", *options]
            server = stack.enter_context(running(arguments, ready="ready"))
            cases[name] = tail_case(driver, server, job)
        for case in cases.values():
            await case()
        found = await interleaved(cases, scale.rounds)
    return found.value("frozen"), found.value("default"), found.ratio("frozen", "default")


def tail_case(driver: Driver, server: Started, job: Job) -> Case:
    async def case() -> float:
        return driver.run(replace(job, url=server.url + job.url)).p99_ms

    return case


def requests(tail: tuple[float, float, float]) -> Figure:
    frozen, default, ratio = tail
    return Figure(
        row="tail_gc",
        what="p99 of a message",
        value=frozen,
        unit="ms",
        baseline=default,
        against="gc defaults",
        ratio=ratio,
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
