"""What replicas say through NOTIFY: written, cut, joined and read; told and heard over a way that loses."""

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from databot.dispatch.base import JobsDue, NumberedEvent, Stop, TurnKey
from databot.dispatch.events import Reader
from databot.dispatch.procrastinate.listening import Listening
from databot.dispatch.procrastinate.rings import Rings
from databot.dispatch.procrastinate.telling import READER_TTL_S, Telling
from databot.dispatch.procrastinate.wire import (
    BROKEN,
    LONGEST,
    LONGEST_EVENT,
    Joining,
    Left,
    Message,
    Said,
    Told,
    Want,
    Wants,
    cut,
    read,
    write,
)
from databot.testing import FakeClock
from databot.types.events import TextDelta, TurnFailed

TURN = TurnKey(tenant_id="t é", turn_id="turn 1\n")


def text(number: int, words: str = "word ") -> NumberedEvent:
    return NumberedEvent(number=number, event=TextDelta(turn_id="turn", text=words))


def end(number: int) -> NumberedEvent:
    failed = TurnFailed(turn_id="turn", session_id="s", error="cancelled", reason="stopped")
    return NumberedEvent(number=number, event=failed)


MESSAGES: list[Message] = [
    Said(sender="r", notice=Stop(turn=TURN)),
    Said(sender="r", notice=JobsDue()),
    Wants(channel="c", wants=(Want(reader="c.1", turn=TURN, after=3, again=True),)),
    Left(reader="c.1"),
    Told(reader="c.1", previous=0, last=9, items=(text(8, "a\nb"), text(9, "\x00\ud83d"))),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert read(write(message), Reader()) == message


@given(st.text(max_size=30_000))
@settings(max_examples=50, deadline=None)
def test_what_is_cut_fits_and_joins_to_what_it_was(words: str) -> None:
    data = words.encode("utf-8", "replace") or b"x"
    pieces = list(cut(data, "replica-1"))
    assert all(len(piece.encode()) <= LONGEST for piece in pieces)
    joining = Joining()
    joined = [joining.add(piece) for piece in pieces]
    assert joined[-1] == data
    assert joined[:-1] == [None] * (len(pieces) - 1)


def test_a_message_that_misses_a_piece_is_forgotten_and_the_next_one_is_read() -> None:
    joining = Joining()
    first, _, third = cut(b"x" * 2 * LONGEST, "r-1")
    assert joining.add(first) is None
    assert joining.add(third) is None
    assert [joining.add(piece) for piece in cut(b"y" * LONGEST, "r-2")] == [None, b"y" * LONGEST]


def test_messages_that_are_never_whole_do_not_pile_up() -> None:
    joining = Joining()
    for number in range(1000):
        joining.add(f"r-{number} 0 2 half")
    assert len(joining._begun) <= 65  # pyright: ignore[reportPrivateUsage] - what it holds is the matter


@pytest.mark.parametrize("payload", ["", "a b c", "r 0 x text", "r x 2 text"])
def test_what_is_not_ours_is_refused_as_broken(payload: str) -> None:
    with pytest.raises(BROKEN):
        Joining().add(payload)


@pytest.mark.parametrize("data", [b"", b"{", b'["want","c",[["x"]]]'])
def test_what_is_no_message_is_refused_as_broken(data: bytes) -> None:
    with pytest.raises(BROKEN):
        read(data, Reader())


@pytest.mark.parametrize("data", [b'["dance", 1]', b"{}", b'["told", 1, 2, 3]'])
def test_what_another_version_says_is_nothing(data: bytes) -> None:
    assert read(data, Reader()) is None


def test_an_event_too_long_to_carry_is_left_out() -> None:
    items = (text(1), text(2, "x" * LONGEST_EVENT), text(3))
    told = read(write(Told(reader="r", previous=0, last=3, items=items)), Reader())
    assert told == Told(reader="r", previous=0, last=3, items=(items[0], items[2]))


def test_of_all_rings_together_the_longest_silent_go_first() -> None:
    rings = Rings(per_turn=3, at_all=5)
    turns = [TurnKey(tenant_id="t", turn_id=str(n)) for n in range(3)]
    for number in range(1, 5):
        rings.add(turns[0], text(number))
    assert [item.number for item in rings.above(turns[0], 0)] == [2, 3, 4]
    assert [item.number for item in rings.above(turns[0], 3)] == [4]
    rings.add(turns[1], text(1))
    rings.add(turns[0], text(5))
    rings.add(turns[2], text(1))
    rings.add(turns[2], text(2))
    assert [len(rings.above(turn, 0)) for turn in turns] == [3, 0, 2]


def test_nothing_is_sent_while_nobody_elsewhere_reads_and_a_silent_reader_is_forgotten() -> None:
    clock = FakeClock()
    telling = Telling(clock)
    assert not telling.tell(TURN, text(1))
    assert list(telling.frames()) == []
    telling.want(Want(reader="c.1", turn=TURN, after=0), "c")
    assert [(channel, told.last) for channel, told in telling.frames()] == [("c", 1)]
    assert telling.tell(TURN, text(2))
    clock.advance(READER_TTL_S + 1)
    telling.forget_silent()
    assert list(telling.frames()) == []
    assert not telling.tell(TURN, text(3))


class Way:
    """Two replicas and what goes between them, of which some is lost."""

    def __init__(self, losses: list[bool]) -> None:
        self.telling = Telling(FakeClock())
        self.listening = Listening("c", self.say)
        self.losses = losses

    def lost(self) -> bool:
        return self.losses.pop() if self.losses else False

    def say(self, message: Message) -> None:
        if self.lost():
            return
        match message:
            case Wants(channel=channel, wants=wants):
                for want in wants:
                    self.telling.want(want, channel)
            case Left(reader=reader):
                self.telling.left(reader)
            case _:
                raise AssertionError(message)

    def carry(self) -> None:
        for channel, told in self.telling.frames():
            assert channel == "c"
            if not self.lost():
                self.listening.told(told)


@given(
    losses=st.lists(st.booleans(), max_size=40),
    carries=st.sets(st.integers(1, 60)),
    renewals=st.sets(st.integers(1, 60)),
    after=st.integers(0, 30),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_lost_a_reader_hears_all_in_order_without_repeat(
    losses: list[bool], carries: set[int], renewals: set[int], after: int
) -> None:
    async def story() -> list[int]:
        way = Way(losses)
        heard: list[int] = []
        stream = way.listening.listen(TURN, after)
        async with asyncio.timeout(5), aclosing(stream), asyncio.TaskGroup() as group:  # type: ignore[type-var]

            async def hear() -> None:
                heard.extend([item.number async for item in stream])

            task = group.create_task(hear())
            await asyncio.sleep(0)
            for number in range(1, 61):
                way.telling.tell(TURN, end(60) if number == 60 else text(number))
                if number in carries:
                    way.carry()
                if number in renewals:
                    way.listening.want_all(again=False)
            while not task.done():  # renewals go on for ever; the losses do not
                way.listening.want_all(again=False)
                way.carry()
                await asyncio.sleep(0)
        return heard

    assert asyncio.run(story()) == list(range(after + 1, 61))


def test_a_turn_taken_over_goes_on_for_the_reader_and_what_the_first_worker_still_says_is_left() -> (
    None
):
    heard: list[Message] = []
    listening = Listening("c", heard.append)

    async def story() -> list[int]:
        stream = listening.listen(TURN, 0)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:

            async def hear() -> list[int]:
                return [item.number async for item in stream]

            task = group.create_task(hear())
            await asyncio.sleep(0)
            for items in (
                [text(1), text(2)],
                [text(100), text(101)],
                [text(3), text(4)],
                [end(102)],
            ):
                listening.told(
                    Told(reader="c.1", previous=0, last=items[-1].number, items=tuple(items))
                )
        return task.result()

    assert asyncio.run(story()) == [1, 2, 100, 101, 102]
    assert heard[-1] == Left(reader="c.1")
