"""The same message delivered again, at every door: at once, afterwards, after a kill. One turn, one reply."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.flows.daemon import Daemon
from tests.flows.durable import WAIT_S, Place, durable_place, spoken, told

Accepted = Callable[[str], None]
Door = Callable[[Place, Daemon, str, Accepted], Awaitable[str]]
"""Delivers the message of that name, calls back with its turn once that is acknowledged, and gives the reply."""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with durable_place(tmp_path) as opened:
        yield opened


def body_of(name: str) -> dict[str, Any]:
    return {"message": f"hold {name}", "session_id": name}


async def reply_to(daemon: Daemon, turn_id: str) -> str:
    event = (await told(daemon, turn_id))[-1]
    assert event.name == "turn_finished", event
    return str(event.data["reply"])


async def by_messages(place: Place, daemon: Daemon, name: str, accepted: Accepted) -> str:
    headers = {"Idempotency-Key": name}
    status, answer = await daemon.post("/api/v1/messages", body_of(name), **headers)
    assert status == 202, answer
    accepted(answer["turn_id"])
    return await reply_to(daemon, answer["turn_id"])


async def by_chat(place: Place, daemon: Daemon, name: str, accepted: Accepted) -> str:
    status, answer = await daemon.post("/api/v1/chat", body_of(name), **{"Idempotency-Key": name})
    assert status == 200, answer
    accepted(answer["turn_id"])
    return str(answer["reply"])


async def by_stream(place: Place, daemon: Daemon, name: str, accepted: Accepted) -> str:
    url, headers = f"{daemon.url}/api/v1/chat", {"Idempotency-Key": name}
    body = body_of(name) | {"stream": True}
    async with daemon.session.post(url, json=body, headers=headers) as response:
        assert response.status == 200
        turn_id = response.headers["X-Turn-ID"]
        accepted(turn_id)
        assert (await response.text()).count("event: turn_finished") == 1
    return await reply_to(daemon, turn_id)


async def by_socket(place: Place, daemon: Daemon, name: str, accepted: Accepted) -> str:
    async with daemon.session.ws_connect(f"{daemon.url}/api/v1/ws") as socket:
        await socket.send_json({"type": "message", "id": name, **body_of(name)})
        async for frame in socket:
            assert frame.type is aiohttp.WSMsgType.TEXT
            event: Mapping[str, Any] = frame.json()
            if event["type"] == "accepted":
                accepted(event["turn_id"])
            if event["type"] == "turn_finished":
                return str(event["data"]["reply"])
    raise aiohttp.ClientConnectionError("the socket broke off")


async def by_channel(place: Place, daemon: Daemon, name: str, accepted: Accepted) -> str:
    turn_id = await place.post(daemon, name, f"hold {name}", chat=name)
    accepted(turn_id)
    reply = await reply_to(daemon, turn_id)
    await place.until(lambda: place.marks(delivery="", turn=turn_id))
    [delivery] = place.marks(delivery="", turn=turn_id)
    assert delivery["content"] == reply
    return reply


DOORS: dict[str, Door] = {
    "messages": by_messages,
    "chat": by_chat,
    "stream": by_stream,
    "socket": by_socket,
    "channel": by_channel,
}


async def check_once(daemon: Daemon, name: str) -> None:
    assert await spoken(daemon, name) == [
        ("user", f"hold {name}"),
        ("assistant", f"re: hold {name}"),
    ]


async def test_a_message_delivered_again_at_any_door_is_one_turn_with_one_reply(
    place: Place, counted: Callable[[str], None]
) -> None:
    turns: dict[str, list[str]] = {name: [] for name in DOORS}
    replies: dict[str, list[str]] = {name: [] for name in DOORS}

    async def deliver(daemon: Daemon, name: str) -> None:
        async with asyncio.timeout(WAIT_S):
            reply = await DOORS[name](place, daemon, name, turns[name].append)
        replies[name].append(reply)

    async with place.running() as daemon:
        async with asyncio.TaskGroup() as group:
            for name in DOORS:
                for _ in range(3):  # at once
                    group.create_task(deliver(daemon, name))
            async with asyncio.timeout(WAIT_S):
                await place.model.until(active=len(DOORS))
            for name in DOORS:  # while it is being answered
                group.create_task(deliver(daemon, name))
            place.model.release()
        for name in DOORS:  # when it has been answered
            await deliver(daemon, name)
        daemon.kill()
    async with place.running() as daemon:
        for name in DOORS:  # after the daemon was killed
            await deliver(daemon, name)
            await check_once(daemon, name)
    for name in DOORS:
        assert len(turns[name]) == len(replies[name]) == 6
        assert len(set(turns[name])) == 1, name
        assert set(replies[name]) == {f"re: hold {name}"}, name
    assert len(place.model.requests) == len(DOORS)
    assert len(place.marks(delivery="")) == 1  # the channel's
    counted(f"{len(DOORS)} doors, each message delivered 6 times: 1 turn, 1 reply")


async def test_what_was_acknowledged_before_a_kill_is_answered_after_it(
    place: Place, counted: Callable[[str], None]
) -> None:
    turns: dict[str, list[str]] = {name: [] for name in DOORS if name != "chat"}
    async with place.running() as daemon:
        for name, known in turns.items():
            acknowledged = asyncio.Event()

            def note(turn_id: str, known: list[str] = known, ring: Any = acknowledged) -> None:  # noqa: ANN401 - bound here
                known.append(turn_id)
                ring.set()

            waiting = asyncio.ensure_future(DOORS[name](place, daemon, name, note))
            waiting.add_done_callback(lambda task: task.exception())
            async with asyncio.timeout(WAIT_S):
                await acknowledged.wait()
        daemon.kill()
        await daemon.process.wait()
    place.holding = False
    place.model.release()
    async with place.running() as daemon:
        for name, known in turns.items():
            # Whoever had it acknowledged and lost the line delivers it again: it had not been lost.
            reply = await DOORS[name](place, daemon, name, known.append)
            assert (known[0], reply) == (known[1], f"re: hold {name}")
            await check_once(daemon, name)
    assert len(place.marks(delivery="")) == 1
    counted(f"{len(turns)} doors killed behind the acknowledgement: 0 lost, 0 repeated")
