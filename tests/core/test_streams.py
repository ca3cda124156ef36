"""The streams of turns: readers who come late, leave, come back after a restart, and what is kept for them."""

import asyncio

import pytest

from databot.core.base import follow
from databot.core.streams import TurnStreams
from databot.dispatch.base import NumberedEvent
from databot.storage.base import Worker
from databot.testing.clock import FakeClock
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.scripted import ScriptedProvider
from databot.types.events import (
    TERMINAL,
    MessageCompleted,
    TextDelta,
    ToolStarted,
    TurnFinished,
    TurnRestarted,
)
from databot.types.messages import OutboundMessage
from tests.core.house import House, make_loop, open_house, said

REPLY = OutboundMessage(channel="http", chat_id="c", content="hello", turn_id="t", session_id="c")


def quiet() -> None:
    """Wake nobody."""


def piece(text: str = "hello ") -> TextDelta:
    return TextDelta(turn_id="t", text=text)


def end(streams: TurnStreams, turn_id: str, content: str = "hello") -> None:
    reply = OutboundMessage(
        channel="http", chat_id="c", content=content, turn_id=turn_id, session_id="c"
    )
    streams.add("default", turn_id, MessageCompleted(turn_id=turn_id, message=reply))
    streams.add("default", turn_id, TurnFinished(turn_id=turn_id, message=reply))


def taken(streams: TurnStreams, turn_id: str, after: int = 0) -> list[str]:
    watch = streams.open("default", turn_id).watch(quiet, after)
    return [item.event.name for item in watch.take()]


def test_a_reader_who_comes_after_the_end_is_told_every_piece_it_has_not_had() -> None:
    streams = TurnStreams()
    for _ in range(3):
        streams.add("default", "t", piece())
    end(streams, "t")
    assert taken(streams, "t") == ["text_delta"] * 3 + ["message", "turn_finished"]
    assert taken(streams, "t", after=2) == ["text_delta", "message", "turn_finished"]
    assert taken(streams, "t", after=5) == taken(streams, "t", after=1_000) == []


def test_the_pieces_of_long_answers_take_room_too() -> None:
    streams = TurnStreams(ended_bytes=100_000)
    for turn_id in ("a", "b"):
        for _ in range(300):
            streams.add("default", turn_id, TextDelta(turn_id=turn_id, text="word "))
        end(streams, turn_id)
    assert streams.get("default", "a") is None
    assert streams.get("default", "b") is not None


def test_ended_streams_are_kept_as_long_as_there_is_room_for_them() -> None:
    streams = TurnStreams(ended_bytes=50_000)
    for number in range(10):
        end(streams, f"t{number}", content="x" * 10_000)
    kept = [number for number in range(10) if streams.get("default", f"t{number}")]
    assert kept == list(range(10 - len(kept), 10))
    assert 2 <= len(kept) <= 4


def test_large_arguments_count_too() -> None:
    streams = TurnStreams(ended_bytes=20_000)
    for turn_id in ("a", "b"):
        args = {"sql": "x" * 12_000}
        started = ToolStarted(turn_id=turn_id, call_id="c", tool="sql", args=args)
        streams.add("default", turn_id, started)
        end(streams, turn_id)
    assert streams.get("default", "a") is None
    assert streams.get("default", "b") is not None


def test_numbers_rise_over_any_number_of_restarts() -> None:
    clock = FakeClock()
    highest = 0
    for _ in range(30):  # a day each: no number of this month is given again in the next one
        streams = TurnStreams(clock)
        streams.add("default", "t", TurnRestarted(turn_id="t"))
        streams.add("default", "t", piece())
        watch = streams.open("default", "t").watch(quiet, highest)
        events = watch.take()
        assert [item.event.name for item in events] == ["turn_restarted", "text_delta"]
        assert events[0].number > highest
        highest = events[-1].number
        clock.advance(86_400)
    assert highest < 2**53  # a browser reads it as it is


async def killed_while_answering(log: MemoryLog, pieces: int) -> tuple[str, list[NumberedEvent]]:
    """A turn whose worker dies after so many pieces of text, and what its reader had seen by then."""
    said_so_far = 0
    reached = asyncio.Event()

    async def pause() -> None:
        nonlocal said_so_far
        if said_so_far == pieces:
            reached.set()
            await asyncio.Event().wait()
        said_so_far += 1

    loop = make_loop(ScriptedProvider(["word " * (pieces + 1)], pause=pause))
    seen: list[NumberedEvent] = []
    async with open_house(loop, log=log, drain_s=0.01) as house:
        turn = await house.publish(said("hello"))
        await asyncio.wait_for(reached.wait(), 10)
        watch = await house.running.engine.watch("default", turn, quiet)
        seen.extend(watch.take())
    return turn, seen


async def read(house: House, turn: str, after: int) -> list[NumberedEvent]:
    async with asyncio.timeout(10):
        return [item async for item in follow(house.running.engine, "default", turn, after=after)]


@pytest.mark.parametrize("pieces", [1, 200])
async def test_a_reader_who_comes_back_after_a_restart_is_told_to_begin_anew(pieces: int) -> None:
    clock = FakeClock()
    log = MemoryLog(clock)
    turn, seen = await killed_while_answering(log, pieces)
    assert len(seen) == pieces + 1
    go = asyncio.Event()
    begun = asyncio.Event()

    async def pause() -> None:
        begun.set()
        await go.wait()

    answer = "new " * 100
    async with open_house(make_loop(ScriptedProvider([answer], pause=pause)), log=log) as house:
        early = asyncio.ensure_future(read(house, turn, seen[-1].number))
        await asyncio.wait_for(begun.wait(), 10)
        go.set()
        events = await early
        late = await read(house, turn, seen[-1].number)
    assert events[0].event.name == "turn_restarted"
    text = "".join(item.event.text for item in events if isinstance(item.event, TextDelta))
    assert text == answer
    assert [item.number for item in events] == sorted({item.number for item in events})
    for told in (events, late):
        assert told[0].event.name == "turn_restarted"
        assert sum(isinstance(item.event, TERMINAL) for item in told) == 1


async def test_a_reader_who_comes_back_in_the_middle_of_the_new_answer_is_told_all_of_it() -> None:
    log = MemoryLog(FakeClock())
    turn, seen = await killed_while_answering(log, 5)
    halfway, go = asyncio.Event(), asyncio.Event()
    told = 0

    async def pause() -> None:
        nonlocal told
        told += 1
        if told == 50:
            halfway.set()
            await go.wait()

    async with open_house(make_loop(ScriptedProvider(["new " * 100], pause=pause)), log=log) as h:
        await asyncio.wait_for(halfway.wait(), 10)
        watch = await h.running.engine.watch("default", turn, quiet, after=seen[-1].number)
        assert watch.take()[0].event.name == "turn_restarted"
        watch.close()
        go.set()
        await h.events(turn)


async def test_a_turn_that_had_begun_without_the_store_knowing_is_told_as_restarted() -> None:
    log = MemoryLog(FakeClock())
    await log.ingest("turn_9", said("hello"))
    async with open_house(make_loop(ScriptedProvider(["done"])), log=log) as house:
        events = await read(house, "turn_9", 7)
    assert events[0].event.name == "turn_restarted"
    assert events[-1].event.name == "turn_finished"


@pytest.mark.parametrize("after", [0, 3, 203, 10**9])
async def test_an_old_turn_tells_its_end_whatever_its_reader_had_seen(after: int) -> None:
    log = MemoryLog(FakeClock())
    async with open_house(make_loop(ScriptedProvider(["kept"])), log=log) as house:
        turn = await house.publish(said("hello"))
        await house.events(turn)
    async with open_house(make_loop(ScriptedProvider([])), log=log) as house:
        events = await read(house, turn, after)
    assert [item.event.name for item in events] == ["message", "turn_finished"]
    assert all(item.number > after for item in events)


async def test_a_reader_who_had_the_end_is_told_nothing_more() -> None:
    async with open_house(make_loop(ScriptedProvider(["kept"]))) as house:
        turn = await house.publish(said("hello"))
        seen = await read(house, turn, 0)
        assert await read(house, turn, seen[-1].number) == []


async def test_a_reader_who_comes_when_another_worker_has_the_conversation_is_told_the_end() -> (
    None
):
    log, beats = MemoryLog(FakeClock()), FakeClock()
    terminal = MemoryClaims(log, Worker(name="terminal"))
    await log.ingest("turn_a", said("first"))
    first = await terminal.claim(said("first").conversation)
    assert first is not None
    async with open_house(make_loop(ScriptedProvider([])), log=log, beats=beats) as house:
        turn = await house.publish(said("second"))
        async with asyncio.timeout(10):
            while house.running.machinery.dispatcher.has(first.record.conversation):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            reading = asyncio.ensure_future(read(house, turn, 0))
            await terminal.settle(first, "done")
            second = await terminal.claim(first.record.conversation)
            assert second is not None
            await terminal.settle(second, "done", reply=REPLY)
            while not reading.done():
                beats.advance(1)
                await asyncio.sleep(0)
    assert [item.event.name for item in await reading] == ["message", "turn_finished"]
