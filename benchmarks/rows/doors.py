"""What the gateway adds to aiohttp: a request, a checked message, a message on a WebSocket."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.driver import Driver, load_generator
from benchmarks.engines import KEY
from benchmarks.figures import Figure, Target, at_most
from benchmarks.load import Job
from benchmarks.measure import Case, Scale, interleaved
from benchmarks.processes import Started, running

AUTH = {"Authorization": f"Bearer {KEY}"}
TEXT = "How many orders did we ship to each country last week? " * 9
"""About 500 characters: the 560-byte body of the figures databot is compared with."""
CONNECTIONS = 64


def server_case(driver: Driver, server: Started, job: Job) -> Case:
    """CPU microseconds of the server for each request."""

    async def case() -> float:
        return driver.cpu_us(server.pid, job)

    return case


async def compare(
    name: str,
    what: str,
    jobs: tuple[Job, Job],
    servers: tuple[str, str],
    rounds: int,
    target: Target | None = None,
) -> Sequence[Figure]:
    """Our server's job beside the bare server's; the jobs' addresses are paths."""
    with ExitStack() as stack:
        driver = stack.enter_context(load_generator())
        cases: dict[str, Case] = {}
        for job, server_name in zip(jobs, servers, strict=True):
            server = stack.enter_context(
                running(["-m", "benchmarks.servers", server_name], ready="ready")
            )
            at = replace(job, url=server.url + job.url)
            driver.run(replace(at, requests=CONNECTIONS * 4))
            cases[server_name] = server_case(driver, server, at)
        found = await interleaved(cases, rounds)
    ours, bare = servers
    return [
        Figure(
            row=name,
            what=what,
            value=found.value(ours),
            unit="us CPU",
            baseline=found.value(bare),
            against="bare aiohttp",
            ratio=found.ratio(ours, bare),
            target=target,
        )
    ]


async def http_floor(scale: Scale) -> Sequence[Figure]:
    """`GET /healthz` through everything that stands before a handler."""
    count = scale.count(8_000)
    jobs = (
        Job(url="/healthz", connections=CONNECTIONS, requests=count, headers=AUTH),
        Job(url="/", connections=CONNECTIONS, requests=count),
    )
    return await compare(
        "http_floor", "GET /healthz", jobs, ("door", "bare"), scale.rounds, at_most(1.5)
    )


async def http_post(scale: Scale) -> Sequence[Figure]:
    """A message with a key, checked and accepted, over an engine that keeps nothing."""
    count = scale.count(5_000)
    jobs = (
        Job(
            url="/api/v1/messages",
            connections=CONNECTIONS,
            requests=count,
            headers=AUTH,
            body={"message": TEXT},
            session="client",
        ),
        Job(url="/", connections=CONNECTIONS, requests=count),
    )
    return await compare(
        "http_post", "POST /api/v1/messages", jobs, ("door", "bare"), scale.rounds, at_most(2.2)
    )


async def ws_message(scale: Scale) -> Sequence[Figure]:
    """A message parsed, kept, put in order and acknowledged; then the same with a turn that is worked off and told."""
    count = scale.count(5_000)
    frame = {"type": "message", "message": "How many orders did we ship last week? " * 3}
    ours = Job(
        url="/api/v1/ws",
        connections=CONNECTIONS,
        requests=count,
        headers=AUTH,
        frame=frame,
        until='"accepted"',
    )
    theirs = replace(ours, url="/ws", headers={}, until='"id"')
    whole = replace(ours, until='"turn_finished"')
    return [
        *await compare(
            "ws_message",
            "message acknowledged",
            (ours, theirs),
            ("queue", "bare"),
            scale.rounds,
            at_most(3.5),
        ),
        *await compare(
            "ws_message", "message to its end", (whole, theirs), ("lane", "bare"), scale.rounds
        ),
    ]
