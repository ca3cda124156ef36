"""The whole house as people run it: `databot gateway` as a process, a model server as another, clients as a third.

On the same kind of machine (2 cores, shared; the guide's side-by-side) with the same 50 ms model, turns/s (p50 / p99
ms) at 1, 16 and 64 sessions: the original databot gateway, over LiteLLM, 14.5 (66 / 84), 73.9 (206 / 495) and 103
(516 / 854); nanobot-ai 0.3.5 7.1 (143 / 228), 16.6 (950 / 1287) and 19.5 (3251 / 3440). They are not measured here.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks.driver import Driver, load_generator
from benchmarks.figures import Figure, Target, at_most
from benchmarks.load import Job, Load
from benchmarks.measure import Scale, cpu_seconds, interleaved, rss_mb
from benchmarks.processes import CLIENT, Started, running
from benchmarks.servers import SLOW

LATENCY_MS = 50
QUESTION = "How many orders did we ship last week?"
NATIVE = "openai/test-model"
LITELLM = "litellm/openai/test-model"
COUNT_ROWS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
    "SELECT count(*) AS rows FROM n"
)


@dataclass(frozen=True, slots=True)
class House:
    """A running gateway, its model and a client."""

    gateway: Started
    model: Started
    driver: Driver

    def job(self, sessions: int, requests: int, message: str = QUESTION) -> Job:
        """Turns, so many conversations at once."""
        return Job(
            url=f"{self.gateway.url}/api/v1/chat",
            connections=sessions,
            requests=requests,
            body={"message": message},
            session="client",
        )


@contextmanager
def house(
    *,
    model: str = NATIVE,
    latency_ms: float = LATENCY_MS,
    slow_rows: int = 0,
    program: Sequence[str] = ("-m", "databot"),
    api_keys: Sequence[Mapping[str, str]] = (),
) -> Generator[House]:
    """`databot gateway` with one model, its rate limit out of the way; `program` runs databot's command line.

    With `slow_rows` it also has a database, and the model asks for a query that counts so many rows.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-")))
        slow = orjson.dumps({"sql": COUNT_ROWS.format(rows=slow_rows)}).decode()
        arguments = ["--latency-ms", str(latency_ms), "--arguments", slow]
        server = stack.enter_context(
            running(["-m", "benchmarks.servers", "model", *arguments], ready="ready", core=CLIENT)
        )
        config = write_config(folder, server.url, model, database=bool(slow_rows), keys=api_keys)
        gateway = stack.enter_context(
            running(
                [*program, "gateway", "--config", str(config), "--port", "0"],
                ready="is ready at",
            )
        )
        driver = stack.enter_context(load_generator())
        found = House(gateway, server, driver)
        warm = found.job(4, 40)
        if api_keys:
            warm = replace(warm, headers={"Authorization": f"Bearer {api_keys[0]['key']}"})
        driver.run(warm)
        yield found


def write_config(
    folder: Path, model_url: str, model: str, *, database: bool, keys: Sequence[Mapping[str, str]]
) -> Path:
    """A configuration, over an empty shop where a database is wanted."""
    with closing(sqlite3.connect(folder / "shop.db")) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, amount REAL)")
    shop = {"type": "sql", "url": f"sqlite:///{folder / 'shop.db'}", "timeout_s": 60}
    config: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "llm": {"model": model, "api_base": model_url, "api_key": "a-key"},
        "rag": {"enabled": False},
        "agents": {"router": "rules"},
        "auth": {"api_keys": list(keys), "rate_limit": {"requests": 1_000_000, "per_s": 1}},
        "connectors": {"shop": shop} if database else {},
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


async def turns_http(scale: Scale) -> Sequence[Figure]:
    """Turns a second through HTTP with a model that takes 50 ms."""
    figures: list[Figure] = []
    for name, model, most, least in (
        ("native", NATIVE, 2_000, 600.0),
        ("litellm", LITELLM, 600, 200.0),
    ):
        with house(model=model) as at:
            for sessions, requests in ((1, 40), (16, min(most, 600)), (64, most)):
                count = scale.count(requests, sessions * 4)
                target = Target(of="value", least=least) if sessions == 64 else None
                figures.append(turn_rate(at, name, (sessions, count), scale.rounds, target))
    last = figures[-1]
    alone = await litellm_rate(scale)
    against = "streams LiteLLM alone does on a core"
    return [
        *figures[:-1],
        replace(last, baseline=alone, against=against, ratio=last.value / alone),
    ]


async def litellm_rate(scale: Scale) -> float:
    """Streams a second of one core through LiteLLM with nothing around it: no daemon over it can do more."""
    from benchmarks.rows.models import bench, case

    async with bench() as at:
        stream = case(at.litellm_stream, scale.count(60, 8), 16)
        await stream()
        return 1e6 / (await interleaved({"alone": stream}, scale.rounds)).value("alone")


def turn_rate(
    at: House, name: str, load: tuple[int, int], rounds: int, target: Target | None
) -> Figure:
    """The best round's rate, since the others tell of the machine's other work, with its latencies and CPU."""
    sessions, requests = load
    found: list[tuple[Load, float]] = []
    for _ in range(rounds):
        begun = cpu_seconds(at.gateway.pid)
        done = at.driver.run(at.job(sessions, requests))
        found.append((done, (cpu_seconds(at.gateway.pid) - begun) / requests * 1e6))
    best, cpu = max(found, key=lambda each: each[0].rate)
    return Figure(
        row="turns_http",
        what=f"{name}, {sessions} sessions",
        value=best.rate,
        unit="/s",
        target=target,
        note=f"p50 {best.p50_ms:.0f} ms, p99 {best.p99_ms:.0f} ms, {cpu:,.0f} us CPU a turn",
    )


async def added_latency(scale: Scale) -> Sequence[Figure]:
    """What a turn takes beyond the model's own time: one after another, beside calls to the model alone."""
    count = scale.count(60, 10)
    body = {"model": "test-model", "messages": [{"role": "user", "content": QUESTION}]}
    with house() as at:
        direct = Job(
            url=f"{at.model.url}/chat/completions",
            connections=1,
            requests=count,
            body=body | {"stream": True},
        )

        async def turn() -> float:
            return at.driver.run(at.job(1, count)).p50_ms

        async def call() -> float:
            return at.driver.run(direct).p50_ms

        found = await interleaved({"turn": turn, "model": call}, scale.rounds)
    added = min(a - b for a, b in zip(found.rounds["turn"], found.rounds["model"], strict=True))
    return [
        Figure(
            row="added_latency",
            what="p50 of a turn without its model",
            value=added,
            unit="ms",
            target=Target(of="value", most=5),
            note=f"best round; median {found.value('turn') - found.value('model'):.1f} ms",
        )
    ]


SLOW_S, SLOW_QUICK_S = 10.0, 2.0
OTHERS = 8


@dataclass(frozen=True, slots=True)
class Beside:
    """The others' p99 without and with a slow turn beside them, its seconds, and whether it outlasted them."""

    idle_ms: float
    busy_ms: float
    seconds: float
    outlasted: bool

    @property
    def ratio(self) -> float:
        return self.busy_ms / self.idle_ms


async def isolation(scale: Scale) -> Sequence[Figure]:
    """What other conversations notice of one that runs a long query."""
    seconds = SLOW_QUICK_S if scale.quick else SLOW_S
    with house(slow_rows=rows_in(seconds)) as at, load_generator() as second:
        others = at.job(OTHERS, scale.count(OTHERS * 70, OTHERS * 10))
        found = [await beside_slow(at, second, others) for _ in range(1 if scale.quick else 2)]
    best = min(found, key=lambda each: each.ratio)
    return [
        Figure(
            row="isolation",
            what=f"p99 of others during a {best.seconds:.0f} s query",
            value=best.busy_ms,
            unit="ms",
            baseline=best.idle_ms,
            against="without it",
            ratio=best.ratio,
            target=at_most(1.5),
            note="" if best.outlasted else "the query ended before they did: not a measure",
        )
    ]


async def beside_slow(at: House, second: Driver, others: Job) -> Beside:
    """The others alone, then while a turn runs its slow query."""
    idle = at.driver.run(others).p99_ms
    slow = replace(at.job(1, 1, f"Run the {SLOW}."), tag=f"slow{time.monotonic_ns()}")
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asyncio.to_thread(second.run, slow))
        await asyncio.sleep(0.3)  # the model has asked for the query by then
        busy = (await asyncio.to_thread(at.driver.run, others)).p99_ms
        outlasted = not task.done()
    return Beside(idle, busy, time.perf_counter() - begun, outlasted)


def rows_in(seconds: float) -> int:
    """How many rows the slow query counts in so many seconds on this machine."""
    with closing(sqlite3.connect(":memory:")) as db:
        begun = time.perf_counter()
        db.execute(COUNT_ROWS.format(rows=1_000_000)).fetchone()
        return int(seconds / (time.perf_counter() - begun) * 1_000_000)


async def rss(scale: Scale) -> Sequence[Figure]:
    """Memory of a gateway that has answered little, and of each further thousand conversations that rest."""
    thousand = scale.count(1_000, 100)
    with house(latency_ms=0) as at:
        idle = rss_mb(at.gateway.pid)
        new = replace(at.job(16, thousand), session="new")
        at.driver.run(new)  # what is kept for the last turns fills up first
        at.driver.run(new)
        before = rss_mb(at.gateway.pid)
        for _ in range(2):
            at.driver.run(new)
        grown = (rss_mb(at.gateway.pid) - before) / 2 * 1_000 / thousand
    return [
        Figure(row="rss", what="idle gateway", value=idle, unit="MB"),
        Figure(row="rss", what="per 1,000 resting conversations", value=grown, unit="MB"),
    ]
