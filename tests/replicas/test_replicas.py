"""Three replicas on one PostgreSQL, killed, frozen, and the engine between them wiped: nothing lost, nothing twice."""

import random
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from databot.testing.model_server import ModelServer
from tests.dispatch.servers import RedisServer
from tests.replicas.fleet import Place, postgres_database, running_fleet
from tests.replicas.ledger import examine, until_all_ended
from tests.replicas.model import answer
from tests.replicas.traffic import Traffic
from tests.replicas.troubles import Troubles

SEED = 20_261_120
CONVERSATIONS = 30
pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]
Counted = Callable[[str], None]


@pytest.fixture
def redis(tmp_path: Path) -> Generator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def a_place(server: str, dispatch: str, folder: Path) -> AsyncGenerator[tuple[Place, str]]:
    """A place for replicas with the model of these tests, and the address of its database."""
    async with ModelServer(record=False) as model, postgres_database(server) as database:
        model.always(answer)
        storage = database.replace("postgresql:", "postgresql+asyncpg:")
        yield Place(folder=folder, storage=storage, dispatch=dispatch, model=model.url), database


async def test_messages_are_answered_once_and_in_order_whatever_befalls_replicas_and_redis(
    postgres_url: str, redis: RedisServer, tmp_path: Path, counted: Counted
) -> None:
    async with (
        a_place(postgres_url, redis.url, tmp_path) as (place, database),
        running_fleet(place) as fleet,
    ):
        traffic = Traffic(fleet, random.Random(SEED))
        on = Troubles(traffic, database, redis)
        plan = [on.kill, on.wipe, on.freeze, on.kill, on.kill_two, on.wipe, on.kill]
        await on.happen(plan, CONVERSATIONS, rounds=10)
        await until_all_ended(database, len(traffic.messages))
        found = await examine(database, traffic, fleet.daemons)
    counted(f"Redis, {on}: {found}")
    assert (found.wrong, found.turns) == (0, 300), str(found)


async def test_messages_are_answered_once_and_in_order_by_replicas_on_postgresql_alone(
    postgres_url: str, tmp_path: Path, counted: Counted
) -> None:
    async with (
        a_place(postgres_url, "postgres://", tmp_path) as (place, database),
        running_fleet(place) as fleet,
    ):
        traffic = Traffic(fleet, random.Random(SEED))
        on = Troubles(traffic, database)
        await on.happen([on.kill, on.freeze, on.kill], CONVERSATIONS // 3, rounds=10)
        await until_all_ended(database, len(traffic.messages))
        found = await examine(database, traffic, fleet.daemons)
    counted(f"PostgreSQL alone, {on}: {found}")
    assert (found.wrong, found.turns) == (0, 100), str(found)
