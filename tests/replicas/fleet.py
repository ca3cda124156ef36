"""Replicas of one databot as processes of their own: killed, frozen and started again by a test."""

import asyncio
import random
import secrets
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from tests.flows.daemon import Daemon, running_gateway, write_config
from tests.plugins.site import Site
from tests.replicas import effects

LEASE_S = 2.0
END_S = 30.0
"""Any stop in good order takes less."""
NO_LIMIT = {"rate_limit": {"requests": 1_000_000, "per_s": 1}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the replicas of one databot meet: the store, the engine between them, the model; `effects` is written outside."""

    folder: Path
    storage: str
    dispatch: str
    model: str
    lease_s: float = LEASE_S
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def effects(self) -> Path:
        return self.folder / "effects"

    def config(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        sections: dict[str, Any] = {
            "llm": {"model": "openai/test-model", "api_base": self.model, "api_key": "a key"},
            "agents": {"enabled": False},
            "auth": NO_LIMIT,
            "storage": {"url": self.storage},
            "dispatch": {"url": self.dispatch, "lease_s": self.lease_s},
            **self.more,
        }
        return write_config(folder, **sections)

    @property
    def environment(self) -> dict[str, str]:
        """With the tools that leave effects."""
        site = self.folder / "site"
        if not site.exists():
            site.mkdir()
            source = Path(effects.__file__).read_text(encoding="utf-8")
            Site(site).install("effects", "databot_effects", source, mark="Mark", keep="Keep")
        return {"PYTHONPATH": str(site), effects.FILE: str(self.effects)}


class Replica:
    """One place in a fleet: the daemon there is another one after every start."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._stack = AsyncExitStack()
        self._daemon: Daemon | None = None
        self.name = name
        self.answers = False

    @property
    def daemon(self) -> Daemon:
        assert self._daemon is not None
        return self._daemon

    async def start(self) -> None:
        gateway = running_gateway(self._place.config(self.name), **self._place.environment)
        self._daemon = await self._stack.enter_async_context(gateway)
        self.answers = True

    async def kill(self) -> None:
        """As if the power went."""
        self.answers = False
        await self._stack.aclose()

    def terminate(self) -> None:
        """SIGTERM: it is spoken to no more, and left alone until it has ended."""
        self.answers = False
        self.daemon.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Its exit status, once it has one."""
        async with asyncio.timeout(END_S):
            return await self.daemon.process.wait()

    def freeze(self) -> None:
        self.daemon.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.daemon.process.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """`kill -9`, and a new one in its place."""
        await self.kill()
        await self.start()


class Fleet:
    """The replicas of one databot."""

    def __init__(self, place: Place, replicas: Sequence[Replica]) -> None:
        self.place = place
        self.replicas = replicas

    @property
    def daemons(self) -> list[Daemon]:
        """Those that are not dead; one may be frozen."""
        return [replica.daemon for replica in self.replicas if replica.answers]

    def any(self, dice: random.Random) -> Daemon:
        return dice.choice(self.daemons)

    def of(self, pid: int) -> Replica:
        """The replica whose process it is."""
        return next(item for item in self.replicas if item.daemon.process.pid == pid)


@asynccontextmanager
async def running_fleet(place: Place, *, size: int = 3) -> AsyncGenerator[Fleet]:
    """So many replicas of one databot, all ready; killed at the end."""
    replicas = [Replica(place, f"replica{number}") for number in range(size)]
    assert place.environment  # written once, before they read it side by side
    async with AsyncExitStack() as stack:
        for replica in replicas:
            stack.push_async_callback(replica.kill)
        async with asyncio.TaskGroup() as group:
            for replica in replicas:
                group.create_task(replica.start())
        yield Fleet(place, replicas)


@asynccontextmanager
async def postgres_database(server: str) -> AsyncGenerator[str]:
    """A database of its own, by a plain `postgresql://` URL: replicas that were killed leave sessions behind."""
    name = f"replicas_{secrets.token_hex(6)}"
    await _order(server, f"CREATE DATABASE {name}")
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        await _order(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _order(server: str, statement: str) -> None:
    """Over a connection of its own: the server may have crashed since the last one."""
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(statement)
    finally:
        await admin.close()
