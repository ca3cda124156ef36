"""People who write to replicas: each conversation's messages in order, each until it was accepted, some of them twice."""

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.flows.daemon import Daemon
from tests.replicas.fleet import Fleet

TRY_S = 2.0
PAUSE_S = 0.05
TRIES = 400
TWICE = 0.1


@dataclass(slots=True)
class Traffic:
    """`sent` are the messages of each conversation in the order they were accepted; `turns` the turns each became."""

    fleet: Fleet
    dice: random.Random
    sent: dict[str, list[str]] = field(default_factory=lambda: defaultdict[str, list[str]](list))
    turns: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    doubled: int = 0
    retried: int = 0

    @property
    def messages(self) -> list[str]:
        return [message for messages in self.sent.values() for message in messages]

    async def round(self, conversations: int) -> None:
        """One more message to each of so many conversations, side by side."""
        async with asyncio.TaskGroup() as group:
            for number in range(conversations):
                group.create_task(self.say(number))

    async def say(self, number: int) -> None:
        """One more message to this conversation, until it was accepted."""
        session = f"s{number}"
        message = f"m{number}-{len(self.sent[session])}"
        self.sent[session].append(message)
        if self.dice.random() < TWICE:
            self.doubled += 1
            await asyncio.gather(
                self._until_accepted(session, message), self._try(session, message)
            )
        else:
            await self._until_accepted(session, message)

    async def _until_accepted(self, session: str, message: str) -> None:
        for _ in range(TRIES):
            if await self._try(session, message):
                return
            self.retried += 1
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{message} was never accepted")

    async def _try(self, session: str, message: str) -> bool:
        """Deliver it to any replica. What went wrong on the way may have been delivered all the same."""
        body = {"message": f"Look at {message}.", "session_id": session}
        daemons = self.fleet.daemons
        if not daemons:
            return False
        try:
            status, answer = await deliver(self.dice.choice(daemons), body, message)
        except (aiohttp.ClientError, TimeoutError, RuntimeError):  # killed, frozen, just restarted
            return False
        if status != 202:
            assert status in {429, 503}, answer
            return False
        self.turns[message].add(answer["turn_id"])
        return True


async def deliver(daemon: Daemon, body: object, key: str) -> tuple[int, dict[str, Any]]:
    async with (
        asyncio.timeout(TRY_S),
        daemon.session.post(
            f"{daemon.url}/api/v1/messages", json=body, headers={"Idempotency-Key": key}
        ) as response,
    ):
        return response.status, await response.json()
