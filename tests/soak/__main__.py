"""A long run under trouble: `make soak`, for DATABOT_SOAK_MINUTES (30) minutes; no part of CI.

Three replicas on a PostgreSQL and a Redis of their own take DATABOT_SOAK_RATE (50) messages a second, while two of them
are killed and frozen, Redis is wiped, and PostgreSQL crashes and comes back. The third is spared, so that its memory,
files and threads can be looked at; so is one daemon on SQLite, with a fifth of the messages. At the end every message
is looked up. Exit status 1 when anything was lost, repeated or out of order.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.dispatch.postgres import PostgresServer
from tests.replicas.books import open_books, until_ended
from tests.replicas.ledger import Findings, examine
from tests.replicas.meeting import Meeting, alone, meeting, own_redis
from tests.replicas.traffic import Traffic
from tests.replicas.troubles import Troubles
from tests.soak.probes import Probe

MINUTES = float(os.environ.get("DATABOT_SOAK_MINUTES", "30"))
RATE = int(os.environ.get("DATABOT_SOAK_RATE", "50"))
SHARE = 5
"""SQLite gets one message where the replicas get so many."""
SEED = int(os.environ.get("DATABOT_SOAK_SEED", "1"))
CONVERSATIONS = 500
TROUBLES = {"kill": 12, "freeze": 4, "wipe": 3, "crash of PostgreSQL": 1}
BETWEEN_S = (2.0, 8.0)
LOOK_S = 5.0
TELL_S = 30.0
END_S = 600.0
MB = 1_000_000


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(slots=True)
class People:
    """So many messages a second to one house; who waits to be heard says nothing else meanwhile."""

    traffic: Traffic
    rate: int
    speaking: dict[int, "asyncio.Task[None]"] = field(
        default_factory=dict[int, "asyncio.Task[None]"]
    )

    async def speak(self, until: float) -> None:
        number = 0
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until:
                if number not in self.speaking or self.speaking[number].done():
                    self.speaking[number] = group.create_task(self.traffic.say(number))
                number = (number + 1) % CONVERSATIONS
                await asyncio.sleep(1 / self.rate)


async def trouble(on: Troubles, server: PostgresServer, dice: random.Random, until: float) -> int:
    """One thing after another; says how often PostgreSQL crashed."""
    crashes = 0
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(*BETWEEN_S))
        [kind] = dice.choices(list(TROUBLES), list(TROUBLES.values()))
        match kind:
            case "kill":
                await on.kill()
            case "freeze":
                await on.freeze()
            case "wipe":
                await on.wipe()
            case _:
                crashes += 1
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
    return crashes


async def tell(many: Traffic, one: Traffic, on: Troubles, until: float) -> None:
    """How far it is, now and then."""
    while time.monotonic() < until:
        await asyncio.sleep(TELL_S)
        left = max(0.0, until - time.monotonic()) / 60
        accepted = f"{len(many.turns)} accepted by the replicas, {len(one.turns)} by the one"
        say(f"{left:.1f} minutes left: {accepted}; {on}")


async def look(probes: dict[Path, Probe], begun: float, until: float) -> None:
    """At each process, and at the write-ahead log that it leaves: a file, or a folder of them."""
    while time.monotonic() < until:
        for log, probe in probes.items():
            files = list(log.iterdir()) if log.is_dir() else [log]
            size = sum(file.stat().st_size for file in files if file.is_file())
            probe.look(time.monotonic() - begun, size / MB)
        await asyncio.sleep(LOOK_S)


async def settled(database: str, traffic: Traffic) -> Findings:
    """What became of everything, once all has ended."""
    async with open_books(database) as books:
        await until_ended(books, len(traffic.messages), END_S)
        return await examine(books, traffic)


def spared(house: Meeting) -> Probe:
    return Probe(house.fleet.replicas[0].daemon.process.pid)


async def soak(folder: Path, stack: AsyncExitStack) -> bool:
    """Run; says whether everything was as promised."""
    dice = random.Random(SEED)
    for name in ("postgres", "redis", "many", "one"):
        (folder / name).mkdir()
    server = PostgresServer(folder / "postgres")
    stack.callback(server.kill)
    await asyncio.to_thread(server.start)
    redis = await stack.enter_async_context(own_redis(folder / "redis"))
    many = await stack.enter_async_context(
        meeting(server.url, redis.url, folder / "many", record=False)
    )
    one = await stack.enter_async_context(alone(folder / "one", record=False))
    traffic, other = Traffic(many.fleet, dice), Traffic(one.fleet, dice)
    on = Troubles(traffic, redis)
    on.victims = many.fleet.replicas[1:]
    logs = (folder / "postgres" / "data" / "pg_wal", folder / "one" / "databot.db-wal")
    probes = {logs[0]: spared(many), logs[1]: spared(one)}
    begun = time.monotonic()
    until = begun + MINUTES * 60
    async with asyncio.TaskGroup() as group:
        group.create_task(People(traffic, RATE).speak(until))
        group.create_task(People(other, max(1, RATE // SHARE)).speak(until))
        group.create_task(look(probes, begun, until))
        group.create_task(tell(traffic, other, on, until))
        crashes = group.create_task(trouble(on, server, dice, until))
    say("everything is accepted; waiting for the last answers")
    found = await settled(many.database, traffic)
    found_alone = await settled(one.database, other)
    took = time.monotonic() - begun
    say(
        f"{MINUTES:g} minutes with seed {SEED}, {(found.turns + found_alone.turns) / took:.0f} turns/s"
    )
    say(f"three replicas, {on}, {crashes.result()} crashes of PostgreSQL: {found}")
    say(f"one daemon: {found_alone}")
    say(probes[logs[0]].report("the replica that was spared"))
    say(probes[logs[1]].report("the daemon on SQLite"))
    return not found.wrong and not found_alone.wrong


async def main(folder: Path) -> int:
    task = asyncio.current_task()
    assert task is not None
    # However it is stopped, it leaves no server behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as stack:
        return 0 if await soak(folder, stack) else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="databot-soak-") as made:
        Path(made).chmod(0o711)  # PostgreSQL runs as another user where we are root
        sys.exit(asyncio.run(main(Path(made))))
