"""Readers at any replica: the words of a turn that runs elsewhere, a crash there, and a stop from here."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from databot.testing.model_wire import Say
from tests.flows.daemon import Daemon, Event
from tests.replicas.fleet import Replica
from tests.replicas.meeting import Meeting, meeting, own_redis
from tests.replicas.sockets import pid_behind

pytestmark = pytest.mark.service
LIMIT_S = 60
TEXT = " ".join(f"word{number}" for number in range(40))
HELD = Say(text=TEXT, hold_after=6)
FINE = Say(text=TEXT)


async def ask(daemon: Daemon) -> str:
    status, body = await daemon.post("/api/v1/messages", {"message": "Tell me.", "session_id": "s"})
    assert status == 202, body
    return str(body["turn_id"])


async def read(daemon: Daemon, turn: str, until: str, *, after: str = "0") -> list[Event]:
    """The turn's events behind `after` up to the first one called `until`, and not beyond."""
    events: list[Event] = []
    headers = {"Last-Event-ID": after}
    async with (
        asyncio.timeout(LIMIT_S),
        aclosing(daemon.events(f"/api/v1/turns/{turn}/events", **headers)) as stream,
    ):
        async for event in stream:
            events.append(event)
            if event.name == until:
                return events
    raise AssertionError(f"no {until} in {[event.name for event in events]}")


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.name == "text_delta")


async def runner(house: Meeting) -> Replica:
    """Who runs the turn whose model call is being answered."""
    async with asyncio.timeout(LIMIT_S):
        await house.model.until(requests=1, active=1)
    pids = [daemon.process.pid for daemon in house.fleet.daemons]
    return house.fleet.of(pid_behind(house.model.requests[-1].connection, pids))


async def test_words_are_read_at_every_replica_while_they_are_said_and_go_on_at_another(
    postgres_url: str, tmp_path: Path
) -> None:
    async with own_redis(tmp_path) as redis, meeting(postgres_url, redis.url, tmp_path) as house:
        house.model.script(HELD)
        daemons = house.fleet.daemons
        turn = await ask(daemons[0])
        begun = await asyncio.gather(*(read(each, turn, "text_delta") for each in daemons))
        assert house.model.active == 1  # it is still being said
        house.model.release()
        others = [*daemons[1:], daemons[0]]
        ended = await asyncio.gather(
            *(
                read(other, turn, "turn_finished", after=events[-1].id)
                for other, events in zip(others, begun, strict=True)
            )
        )
    for first, rest in zip(begun, ended, strict=True):
        events = [*first, *rest]
        assert [int(event.id) for event in events] == list(range(1, len(events) + 1))
        assert text_of(events) == TEXT
        assert events[-1].data["reply"] == TEXT


async def test_readers_elsewhere_are_told_that_a_turn_begins_anew_when_its_replica_is_killed(
    postgres_url: str, tmp_path: Path
) -> None:
    async with own_redis(tmp_path) as redis, meeting(postgres_url, redis.url, tmp_path) as house:
        house.model.script(HELD)
        house.model.always(FINE)
        turn = await ask(house.fleet.daemons[0])
        killed = await runner(house)
        last = (await read(killed.daemon, turn, "text_delta"))[-1].id
        staying = [item.daemon for item in house.fleet.replicas if item is not killed]
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(read(each, turn, "turn_finished")) for each in staying]
            await asyncio.gather(*(read(each, turn, "text_delta") for each in staying))
            await killed.kill()
            coming = group.create_task(read(staying[0], turn, "turn_finished", after=last))
    for events in [coming.result(), *(task.result() for task in reading)]:
        names = [event.name for event in events]
        assert names.count("turn_restarted") == 1
        anew = events[names.index("turn_restarted") :]
        assert text_of(anew) == TEXT
        numbers = [int(event.id) for event in events]
        assert numbers == sorted(set(numbers))


async def test_a_stop_at_one_replica_ends_the_turn_and_its_model_call_at_another(
    postgres_url: str, tmp_path: Path
) -> None:
    async with own_redis(tmp_path) as redis, meeting(postgres_url, redis.url, tmp_path) as house:
        house.model.script(HELD)
        daemons = house.fleet.daemons
        turn = await ask(daemons[0])
        running = (await runner(house)).daemon
        other = next(daemon for daemon in daemons if daemon is not running)
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(read(each, turn, "turn_failed")) for each in daemons]
            await asyncio.gather(*(read(each, turn, "text_delta") for each in daemons))
            status, _ = await other.post(f"/api/v1/turns/{turn}/cancel", {})
            assert status in {200, 202}
            async with asyncio.timeout(LIMIT_S):
                await house.model.until(abandoned=1)  # the model saw the connection closed
        for task in reading:
            assert task.result()[-1].data["error"]["type"] == "cancelled"
        for daemon in daemons:
            assert (await daemon.get(f"/api/v1/turns/{turn}"))[1]["state"] == "cancelled"
