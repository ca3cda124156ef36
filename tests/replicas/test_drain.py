"""SIGTERM under load: what was accepted is answered, here or elsewhere, and the process ends well."""

import asyncio
import random
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from databot.testing.model_wire import Say
from tests.replicas.books import ended_turns, until_ended
from tests.replicas.fleet import Replica
from tests.replicas.ledger import examine
from tests.replicas.meeting import Meeting, alone, meeting, own_redis
from tests.replicas.model import answer
from tests.replicas.sockets import pid_behind
from tests.replicas.traffic import Traffic, deliver

LONG_LEASE_S = 300.0
"""It outlives the test: whatever goes on elsewhere was given back."""
LOOK_S = 0.02
LIMIT_S = 60.0
SEED = 7
CONVERSATIONS = 20
HELD = 99
"""The number of the conversation whose turn the model does not let end."""
Counted = Callable[[str], None]


def holding(body: Mapping[str, Any]) -> Say:
    """As `answer`; a turn of the held conversation waits until the model is released."""
    said = answer(body)
    return replace(said, hold_after=0) if is_held(body) else said


def is_held(body: Mapping[str, Any]) -> bool:
    return f"m{HELD}-" in str(body["messages"])


async def runner_of_held(house: Meeting) -> Replica:
    """The replica at which the held turn runs."""
    async with asyncio.timeout(LIMIT_S):
        while not (calls := [r for r in house.model.requests if is_held(r.body)]):
            await house.model.until(requests=len(house.model.requests) + 1)
    pids = [daemon.process.pid for daemon in house.fleet.daemons]
    return house.fleet.of(pid_behind(calls[0].connection, pids))


async def until_not_ready(replica: Replica) -> None:
    """It says that it is not ready, and takes nothing more."""
    async with asyncio.timeout(LIMIT_S):
        while (await replica.daemon.get("/readyz"))[0] != 503:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(LOOK_S)
    status, body = await deliver(replica.daemon, {"message": "m0-0", "session_id": "late"}, "late")
    assert status == 503, body


async def under_load(house: Meeting, traffic: Traffic) -> Replica:
    """Every conversation has messages, some are answered, one is held; gives the replica that holds it."""
    house.model.always(holding)
    await traffic.say(HELD)
    held_by = await runner_of_held(house)
    await traffic.round(CONVERSATIONS)
    await traffic.round(CONVERSATIONS)
    await until_ended(house.books, CONVERSATIONS // 4)
    return held_by


@pytest.mark.service
async def test_of_three_replicas_one_stops_and_the_others_go_on_with_what_it_had_waiting(
    postgres_url: str, tmp_path: Path, counted: Counted
) -> None:
    async with (
        own_redis(tmp_path) as redis,
        meeting(postgres_url, redis.url, tmp_path, lease_s=LONG_LEASE_S) as house,
    ):
        traffic = Traffic(house.fleet, random.Random(SEED))
        stopping = await under_load(house, traffic)
        before = await ended_turns(house.books)
        stopping.terminate()
        await until_not_ready(stopping)
        await traffic.round(CONVERSATIONS)
        await until_ended(
            house.books, len(traffic.messages) - 1
        )  # while it waits for its last turn
        house.model.release()
        assert await stopping.ended() == 0
        await until_ended(house.books, len(traffic.messages))
        found = await examine(house.books, traffic)
    counted(f"SIGTERM to one of three with {before} turns answered: {found}")
    assert found.wrong == 0, str(found)


async def test_a_daemon_that_is_stopped_answers_what_runs_and_the_next_one_what_waits(
    tmp_path: Path, counted: Counted
) -> None:
    async with alone(tmp_path) as house:
        traffic = Traffic(house.fleet, random.Random(SEED))
        stopping = await under_load(house, traffic)
        stopping.terminate()
        await until_not_ready(stopping)
        house.model.release()
        assert await stopping.ended() == 0
        before = await ended_turns(house.books)
        await stopping.restart()
        await until_ended(house.books, len(traffic.messages))
        found = await examine(house.books, traffic)
    counted(f"SIGTERM to a daemon on SQLite, {before} turns answered when it ended: {found}")
    assert (found.wrong, found.unknown) == (0, 0), str(found)


async def test_a_second_signal_ends_a_stopping_daemon_at_once_and_loses_nothing(
    tmp_path: Path, counted: Counted
) -> None:
    async with alone(tmp_path) as house:
        traffic = Traffic(house.fleet, random.Random(SEED))
        stopping = await under_load(house, traffic)
        stopping.terminate()
        await until_not_ready(stopping)
        stopping.terminate()
        assert await stopping.ended() == -signal.SIGTERM  # and the model still holds its turn
        house.model.release()
        await stopping.restart()
        await until_ended(house.books, len(traffic.messages))
        found = await examine(house.books, traffic)
    counted(f"a second SIGTERM: {found}")
    assert found.wrong == 0, str(found)
