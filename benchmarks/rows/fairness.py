"""One tenant floods the gateway, another asks a question at a time: how much longer its first word takes.

The model takes half a second and then says everything at once, so the answer's time is the first word's. The flood
comes from more clients than turns run at once, each with conversations of its own, as fast as answers come; no rate
limit stands before it, as one would in earnest.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.driver import Driver, load_generator
from benchmarks.figures import Figure, at_most
from benchmarks.load import Job
from benchmarks.measure import Scale
from benchmarks.rows.house import House, house

LATENCY_MS = 500
CLIENTS = 1_500
FLOOD, OTHER = "flood-key-only-for-benchmarks", "other-key-only-for-benchmarks"
KEYS = [
    {"name": "flood", "key": FLOOD, "tenant": "flood"},
    {"name": "other", "key": OTHER, "tenant": "other"},
]


def job(at: House, key: str, clients: int, requests: int) -> Job:
    headers = {"Authorization": f"Bearer {key}"}
    return replace(at.job(clients, requests), headers=headers, session="new")


@dataclass(frozen=True, slots=True)
class Beside:
    """The other's median without and with the flood, the answers a second the flood got, whether it outlasted them."""

    alone_ms: float
    flooded_ms: float
    slowest_ms: float
    rate: float
    outlasted: bool


async def fairness(scale: Scale) -> Sequence[Figure]:
    """The first word of the other tenant with the flood beside it."""
    clients = scale.count(CLIENTS, 60)
    with house(latency_ms=LATENCY_MS, api_keys=KEYS) as at, load_generator() as second:
        question = job(at, OTHER, 2, scale.count(16, 4))
        flood = job(at, FLOOD, clients, clients * scale.count(8, 3))
        found = await beside(at, second, question, flood)
    note = f"p50, slowest {found.slowest_ms:,.0f} ms; the flood got {found.rate:,.0f} answers/s"
    return [
        Figure(
            row="fairness",
            what=f"first word beside {clients:,} clients of another",
            value=found.flooded_ms,
            unit="ms",
            baseline=found.alone_ms,
            against="without them",
            ratio=found.flooded_ms / found.alone_ms,
            target=at_most(2),
            note=note if found.outlasted else f"{note}, and ended first: not a measure",
        )
    ]


async def beside(at: House, second: Driver, question: Job, flood: Job) -> Beside:
    """The other's median alone and with the flood."""
    alone = (await asyncio.to_thread(at.driver.run, question)).p50_ms
    async with asyncio.TaskGroup() as group:
        flooding = group.create_task(asyncio.to_thread(second.run, flood))
        await asyncio.sleep(2 * LATENCY_MS / 1000)  # it has filled every place by then
        beside = await asyncio.to_thread(at.driver.run, question)
        outlasted = not flooding.done()
    return Beside(alone, beside.p50_ms, beside.max_ms, flooding.result().rate, outlasted)
