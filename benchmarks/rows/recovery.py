"""From `kill -9` in the middle of a model call to the end of the answer, as its reader sees it.

The daemon is killed while its model hangs; asked again, the model answers at once. So the time is databot's: that of a
new process where one daemon is started again, as a service manager would do at once; that of the dead worker's lease,
and of noticing, where another replica takes over.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from benchmarks.figures import Figure, Target
from benchmarks.measure import Scale
from benchmarks.processes import CLIENT, Started, running
from benchmarks.rows.house import NATIVE, write_config
from benchmarks.servers import HANG
from benchmarks.shared import can_share, own_redis, own_schema

LEASES_S = (10, 2)
BEYOND_S = 3
"""So much later than its lease a dead worker's turn must have been answered by another."""
READ_S = 60
MODEL_S = 0.5
"""A turn that has begun has asked its model so soon."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where gateways are started: a folder, and the model they ask."""

    folder: Path
    model: Started

    def gateway(
        self, name: str, more: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[Started]:
        """A gateway with a folder of that name: two of one name are one that is started again."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        file = write_config(folder, self.model.url, NATIVE, database=False, keys=())
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump({**config, **(more or {})}), encoding="utf-8")
        return running(
            ["-m", "databot", "gateway", "--config", str(file), "--port", "0"],
            ready="is ready at",
        )


async def recovery(scale: Scale) -> Sequence[Figure]:
    """Seconds from the kill to the end of the answer, the longest of a few tries."""
    tries = scale.count(3, 1)
    async with place() as at:
        taken = [await restarted(at, number) for number in range(tries)]
        figures = [figure("restart of one daemon, SQLite", taken, LEASES_S[0])]
        if can_share():
            for lease_s in LEASES_S[-1:] if scale.quick else LEASES_S:
                taken = [await taken_over(at, f"{lease_s}-{n}", lease_s) for n in range(tries)]
                figures.append(figure(f"another replica, lease {lease_s} s", taken, lease_s))
    return figures


@asynccontextmanager
async def place() -> AsyncGenerator[Place]:
    """A folder and a model."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="databot-bench-"))
        model = stack.enter_context(
            running(["-m", "benchmarks.servers", "model"], ready="ready", core=CLIENT)
        )
        yield Place(Path(folder), model)


async def restarted(at: Place, number: int) -> float:
    """One daemon: killed, and started again at once."""
    async with AsyncExitStack() as stack:
        first = stack.enter_context(at.gateway("one"))
        turn = await begin(first.url, f"restart {number}")
        begun = kill(first)
        second = stack.enter_context(at.gateway("one"))
        await read(second.url, turn, until="turn_finished")
        return time.perf_counter() - begun


async def taken_over(at: Place, name: str, lease_s: int) -> float:
    """Two replicas: the one that answers is killed."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(own_schema(os.environ["DATABOT_TEST_POSTGRES_URL"]))
        redis = stack.enter_context(own_redis(at.folder))
        more = {"storage": {"url": url}, "dispatch": {"url": redis, "lease_s": lease_s}}
        first = stack.enter_context(at.gateway(f"a{name}", more))
        turn = await begin(first.url, f"lease {name}")  # alone, so that it runs there
        second = stack.enter_context(at.gateway(f"b{name}", more))
        begun = kill(first)
        await read(second.url, turn, until="turn_finished")
        return time.perf_counter() - begun


def kill(gateway: Started) -> float:
    """As if the power went; gives the time."""
    os.kill(gateway.pid, signal.SIGKILL)
    return time.perf_counter()


async def begin(url: str, name: str) -> str:
    """Have a turn begun whose model hangs."""
    body = {"message": f"Please {HANG}: {name}.", "session_id": name.replace(" ", "-")}
    messages = f"{url}/api/v1/messages"
    async with aiohttp.ClientSession() as session, session.post(messages, json=body) as response:
        response.raise_for_status()
        turn = (await response.json())["turn_id"]
    await read(url, turn, until="turn_started")
    await asyncio.sleep(MODEL_S)
    return turn


async def read(url: str, turn: str, *, until: str) -> None:
    """Read the turn's events until one of that name. Raises `RuntimeError` when they end without it."""
    lines: list[str] = []
    async with (
        asyncio.timeout(READ_S),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/v1/turns/{turn}/events") as response,
    ):
        response.raise_for_status()
        async for line in response.content:
            lines.append(line.decode().strip())
            if lines[-1] == f"event: {until}":
                return
    raise RuntimeError(f"turn {turn} ended without {until}: {lines[-6:]}")


def figure(what: str, taken: Sequence[float], lease_s: int) -> Figure:
    return Figure(
        row="recovery",
        what=f"kill -9 to the answer, {what}",
        value=max(taken),
        unit="s",
        target=Target(of="value", most=lease_s + BEYOND_S),
        note=f"of {len(taken)}: {', '.join(f'{seconds:.1f}' for seconds in sorted(taken))}",
    )
