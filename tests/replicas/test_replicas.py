"""Three replicas on one PostgreSQL, killed, frozen, and the engine between them wiped: nothing lost, nothing twice."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.replicas.books import until_ended
from tests.replicas.ledger import examine
from tests.replicas.meeting import meeting, own_redis
from tests.replicas.traffic import Traffic
from tests.replicas.troubles import Troubles

SEED = 20_261_120
CONVERSATIONS = 30
pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]
Counted = Callable[[str], None]


async def test_messages_are_answered_once_and_in_order_whatever_befalls_replicas_and_redis(
    postgres_url: str, tmp_path: Path, counted: Counted
) -> None:
    async with own_redis(tmp_path) as redis, meeting(postgres_url, redis.url, tmp_path) as house:
        traffic = Traffic(house.fleet, random.Random(SEED))
        on = Troubles(traffic, redis)
        plan = [on.kill, on.wipe, on.freeze, on.kill, on.kill_two, on.wipe, on.kill]
        await on.happen(plan, CONVERSATIONS, rounds=10, books=house.books)
        await until_ended(house.books, len(traffic.messages))
        found = await examine(house.books, traffic)
    counted(f"Redis, {on}: {found}")
    assert (found.wrong, found.turns) == (0, 300), str(found)


async def test_messages_are_answered_once_and_in_order_by_replicas_on_postgresql_alone(
    postgres_url: str, tmp_path: Path, counted: Counted
) -> None:
    async with meeting(postgres_url, "postgres://", tmp_path) as house:
        traffic = Traffic(house.fleet, random.Random(SEED))
        on = Troubles(traffic)
        await on.happen(
            [on.kill, on.freeze, on.kill], CONVERSATIONS // 3, rounds=10, books=house.books
        )
        await until_ended(house.books, len(traffic.messages))
        found = await examine(house.books, traffic)
    counted(f"PostgreSQL alone, {on}: {found}")
    assert (found.wrong, found.turns) == (0, 100), str(found)
