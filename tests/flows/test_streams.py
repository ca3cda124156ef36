"""Streams at the real door: cut anywhere and read on; left, and the turn goes on; stopped, wherever the turn is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.flows.daemon import Daemon, Event, environment, start_databot
from tests.flows.durable import WAIT_S, Place, durable_place, spoken, told


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with durable_place(tmp_path, dispatch={"lease_s": 3}) as opened:
        yield opened


async def send(daemon: Daemon, text: str, session_id: str = "s") -> str:
    body = {"message": text, "session_id": session_id}
    status, accepted = await daemon.post("/api/v1/messages", body)
    assert status == 202, accepted
    return str(accepted["turn_id"])


async def cancel(daemon: Daemon, turn_id: str) -> str:
    """Ask for the turn to be stopped; gives its state then."""
    async with asyncio.timeout(WAIT_S):
        status, turn = await daemon.post(f"/api/v1/turns/{turn_id}/cancel", {})
    assert status == 202, turn
    return str(turn["state"])


async def first(daemon: Daemon, turn_id: str, after: str, count: int = 1) -> list[Event]:
    """The next events of a turn, read by somebody who then leaves."""
    path, seen = f"/api/v1/turns/{turn_id}/events", list[Event]()
    async with asyncio.timeout(WAIT_S), aclosing(events(daemon, path, after)) as stream:
        async for event in stream:
            seen.append(event)
            if len(seen) == count:
                break
    return seen


def events(daemon: Daemon, path: str, after: str) -> AsyncGenerator[Event]:
    return daemon.events(path, **({"Last-Event-ID": after} if after else {}))


def text_of(seen: list[Event]) -> str:
    return "".join(event.data["text"] for event in seen if event.name == "text_delta")


# Cut


async def test_a_stream_cut_behind_every_event_is_read_on_without_gap_or_repeat(
    place: Place, counted: Callable[[str], None]
) -> None:
    numbers = " ".join(map(str, range(40)))
    async with place.running() as daemon:
        turn_id = await send(daemon, "count 40")
        seen = await first(daemon, turn_id, "")
        while seen[-1].name != "turn_finished":  # a connection for every event, as they come
            seen += await first(daemon, turn_id, seen[-1].id)
        assert text_of(seen) == numbers
        assert seen[-1].data["reply"] == numbers
        whole = await told(daemon, turn_id)
        assert whole == seen
        for cut, event in enumerate(whole[:-1], start=1):
            assert await told(daemon, turn_id, event.id) == whole[cut:]
        # Whoever has had the last one is told once more that it was the last.
        assert [e.name for e in await told(daemon, turn_id, whole[-1].id)] == ["turn_finished"]
        daemon.kill()
    async with place.running() as daemon:  # the words are gone, the answer is not
        for event in whole:
            rest = await told(daemon, turn_id, event.id)
            assert [each.name for each in rest] == ["message", "turn_finished"]
            assert rest[-1].data["reply"] == numbers
            assert all(int(each.id) > int(event.id) for each in rest if each.id)
    counted(f"{len(whole)} events cut {3 * len(whole)} times: 0 missing, 0 repeated")


async def test_readers_who_leave_do_not_stop_the_turn(place: Place) -> None:
    async with place.running() as daemon:
        turn_id = await send(daemon, "count 40")
        await asyncio.gather(*(first(daemon, turn_id, "", count) for count in (1, 3, 9)))
        assert (await told(daemon, turn_id))[-1].name == "turn_finished"
    assert place.model.abandoned == 0


# Stopped


async def test_a_stop_reaches_the_model_and_leaves_the_turn_behind_alone(place: Place) -> None:
    async with place.running() as daemon:
        running, behind = await send(daemon, "hold it"), await send(daemon, "then this")
        reading = asyncio.ensure_future(told(daemon, running))
        async with asyncio.timeout(WAIT_S):
            await place.model.until(active=1)
            await cancel(daemon, running)
            await place.model.until(abandoned=1)
        end = (await reading)[-1]
        assert (end.name, end.data["error"]["type"]) == ("turn_failed", "cancelled")
        assert (await told(daemon, behind))[-1].data["reply"] == "re: then this"
        assert await cancel(daemon, running) == "cancelled"
        assert await cancel(daemon, behind) == "done"  # what has ended stays as it is


async def test_a_stop_of_a_turn_that_waits_for_its_place_is_told_in_its_channel(
    place: Place,
) -> None:
    async with place.running() as daemon:
        running = await place.post(daemon, "m1", "hold it")
        queued = await place.post(daemon, "m2", "never mind")
        async with asyncio.timeout(WAIT_S):
            await place.model.until(active=1)
        assert await cancel(daemon, queued) == "cancelled"
        assert await cancel(daemon, queued) == "cancelled"
        end = (await told(daemon, queued))[-1]
        assert (end.name, end.data["error"]["type"]) == ("turn_failed", "cancelled")
        place.model.release()
        assert (await told(daemon, running))[-1].data["reply"] == "re: hold it"
        await place.until(lambda: len(place.marks(delivery="")) == 2)
        for turn_id, begins in ((running, "re: hold it"), (queued, "I could not answer: ")):
            [delivery] = place.marks(delivery="", turn=turn_id)
            assert delivery["content"].startswith(begins)
    assert len(place.model.requests) == 1


async def test_a_stop_of_a_turn_that_waits_for_a_person_asks_them_no_more(tmp_path: Path) -> None:
    needs = {"approval_required": ["send"]}
    async with durable_place(tmp_path, agent=needs) as place, place.running() as daemon:
        turn_id = await place.post(daemon, "m1", "go on")
        path = f"/api/v1/turns/{turn_id}/events"
        async with asyncio.timeout(WAIT_S), aclosing(events(daemon, path, "")) as stream:
            async for event in stream:
                if event.name == "approval_requested":
                    break
            assert await cancel(daemon, turn_id) == "cancelled"
            end = [event async for event in stream][-1]
        assert (end.name, end.data["error"]["type"]) == ("turn_failed", "cancelled")
        assert (await daemon.get("/api/v1/approvals"))[1] == {"approvals": []}
        await place.until(lambda: place.marks(delivery="", turn=turn_id))
        [delivery] = place.marks(delivery="")
        assert delivery["content"].startswith("I could not answer: ")
    assert place.marks(tool="send") == []


async def test_a_stop_that_its_worker_did_not_live_to_hear_is_heeded_by_the_next(
    place: Place,
) -> None:
    async with place.running() as daemon:
        arguments = ("-m", "hold it", "--session", "s", "--config", str(place.config))
        chat = await start_databot("chat", *arguments, env=environment(**place.environment))
        async with asyncio.timeout(WAIT_S):
            await place.model.until(active=1)
        _, session = await daemon.get("/api/v1/sessions/s")
        turn_id = session["messages"][0]["turn_id"]
        await cancel(daemon, turn_id)  # runs in the other process: the wish is on the disk
        chat.kill()
        await chat.communicate()
        daemon.kill()
        await daemon.process.wait()
    place.holding = False
    place.model.release()
    async with place.running() as daemon:
        end = (await told(daemon, turn_id))[-1]
        assert (end.name, end.data["error"]["type"]) == ("turn_failed", "cancelled")
        assert await spoken(daemon, "s") == [("user", "hold it")]
    assert len(place.model.requests) == 1


# Over


async def test_a_turn_that_was_deleted_is_found_at_no_door(place: Place) -> None:
    async with place.running() as daemon:
        turn_id = await send(daemon, "hello")
        path = f"/api/v1/turns/{turn_id}"
        assert (await told(daemon, turn_id))[-1].data["reply"] == "re: hello"
        assert await daemon.delete("/api/v1/sessions/s") in {200, 204}
        assert (await daemon.get(path))[0] == 404
        assert (await daemon.get(f"{path}/events"))[0] == 404
        assert (await daemon.post(f"{path}/cancel", {}))[0] == 404


async def test_deleting_a_conversation_ends_the_stream_of_the_turn_that_runs(place: Place) -> None:
    async with place.running() as daemon:
        turn_id = await send(daemon, "hold it")
        reading = asyncio.ensure_future(told(daemon, turn_id))
        async with asyncio.timeout(WAIT_S):
            await place.model.until(active=1)
            assert await daemon.delete("/api/v1/sessions/s") in {200, 204}
            await place.model.until(abandoned=1)
        assert (await reading)[-1].name == "turn_failed"
        assert (await daemon.get(f"/api/v1/turns/{turn_id}/events"))[0] == 404
