"""What befalls replicas while people write to them: kills, freezes, a wiped Redis."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.dispatch.servers import RedisServer
from tests.replicas.books import Books, ended_turns, until_ended
from tests.replicas.traffic import Traffic

Trouble = Callable[[], Coroutine[Any, Any, None]]
ROUND_S = 90.0


class Troubles:
    """Each is one thing that may happen; to which of the `victims` says the traffic's dice."""

    def __init__(self, traffic: Traffic, redis: RedisServer | None = None) -> None:
        self._traffic = traffic
        self._fleet = traffic.fleet
        self._dice = traffic.dice
        self._redis = redis
        self.victims = traffic.fleet.replicas
        self._happened: Counter[str] = Counter()

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in sorted(self._happened.items()))
        traffic = self._traffic
        return f"{told}, {traffic.doubled} delivered twice, {traffic.retried} tries in vain"

    async def kill(self) -> None:
        self._happened["kills"] += 1
        await self._dice.choice(self.victims).restart()

    async def kill_two(self) -> None:
        self._happened["kills"] += 2
        async with asyncio.TaskGroup() as group:
            for replica in self._dice.sample(self.victims, 2):
                group.create_task(replica.restart())

    async def freeze(self) -> None:
        """For two leases: others go on with what it was at, and then it wakes."""
        self._happened["freezes"] += 1
        replica = self._dice.choice(self.victims)
        replica.freeze()
        await asyncio.sleep(2 * self._fleet.place.lease_s)
        replica.thaw()

    async def wipe(self) -> None:
        assert self._redis is not None
        self._happened["wipes"] += 1
        await asyncio.to_thread(self._redis.ask, "FLUSHALL")

    async def happen(
        self, plan: Sequence[Trouble], conversations: int, *, rounds: int, books: Books
    ) -> None:
        """So many messages to each conversation, and each trouble while some of them are being answered."""
        for number, trouble in enumerate(plan):
            share = rounds * (number + 1) // len(plan) - rounds * number // len(plan)
            await self._amid(trouble, books, conversations, share)

    async def _amid(self, trouble: Trouble, books: Books, conversations: int, rounds: int) -> None:
        before = await ended_turns(books)
        few = self._dice.randint(0, conversations // 2)
        async with asyncio.timeout(ROUND_S), asyncio.TaskGroup() as group:
            group.create_task(self._write(conversations, rounds))
            await until_ended(books, before + few)
            group.create_task(trouble())

    async def _write(self, conversations: int, rounds: int) -> None:
        for _ in range(rounds):
            await self._traffic.round(conversations)
