"""Readers here of turns that run elsewhere."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from databot.storage.base import Claim, Claims, TurnRecord, Worker
from databot.testing.clock import FakeClock
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.scripted import ScriptedProvider
from databot.types.errors import StorageUnavailable
from databot.types.messages import OutboundMessage
from tests.core.house import SECONDS, House, make_loop, open_house, said

HERE, THERE = Worker(name="here"), Worker(name="there")
REPLY = OutboundMessage(
    channel="test", chat_id="chat", content="42", turn_id="t", session_id="chat"
)


class Forgetful(MemoryLog):
    """A log that does not answer every second look at a turn."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.looks = 0

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        self.looks += 1
        if self.looks % 2 == 0:
            raise StorageUnavailable("the connection was lost")
        return await super().turn(tenant_id, turn_id)


async def test_a_reader_is_told_the_end_although_the_store_does_not_always_answer() -> None:
    log, beats = Forgetful(), FakeClock()
    there = MemoryClaims(log, THERE)
    await log.ingest("t", said("hello"))
    claim = await there.claim(said("hello").conversation)
    assert claim is not None
    agent = make_loop(ScriptedProvider([]))
    async with open_house(agent, log=log, claims=MemoryClaims(log, HERE), beats=beats) as house:
        reading = asyncio.ensure_future(house.events("t"))
        while log.looks < 3:
            await beats.until_sleeping(3)  # the sweeper, the keeper of leases, the mirror
            beats.advance(1)
        assert not reading.done()
        await there.settle(claim, "done", reply=REPLY)
        async with asyncio.timeout(SECONDS):
            while not reading.done():
                await beats.until_sleeping(2)
                beats.advance(1)
                await asyncio.sleep(0)
        told = await reading
    assert [event.name for event in told] == ["message", "turn_finished"]


@asynccontextmanager
async def overtaken() -> AsyncGenerator[tuple[House, Claims, Claim, FakeClock]]:
    """A worker here that is so slow with its turn that another one has claimed it; it is not aware of that yet."""
    clock, beats = FakeClock(), FakeClock()
    log = MemoryLog(clock)
    asked, go = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        asked.set()
        await go.wait()

    agent = make_loop(ScriptedProvider(["too late"], pause=pause))
    async with open_house(agent, log=log, claims=MemoryClaims(log, HERE), beats=beats) as house:
        await house.publish(said("hello"))
        async with asyncio.timeout(SECONDS):
            await asked.wait()
            clock.advance(HERE.ttl_s + 1)
            there = MemoryClaims(log, THERE)
            claim = await there.claim(said("hello").conversation)
            assert claim is not None
            yield house, there, claim, beats


async def beat(house: House, beats: FakeClock) -> None:
    """Let the sweeper, the keeper of leases and the mirrors come by until the turn is not at work here any more."""
    while house.running.machinery.dispatcher.has(said("hello").conversation):
        await beats.until_sleeping(2)
        beats.advance(4)
        await asyncio.sleep(0)


async def test_what_is_lost_to_another_worker_and_read_by_nobody_takes_no_room() -> None:
    async with overtaken() as (house, there, claim, beats):
        await beat(house, beats)
        assert house.running.machinery.streams.open_turns() == []
        await there.settle(claim, "done", reply=REPLY)
        assert [event.name for event in await house.events(claim.turn_id)][-1] == "turn_finished"
        assert house.log.turns[claim.turn_id].attempts == 1  # this worker lives


async def test_a_reader_of_what_is_lost_to_another_worker_is_told_its_end() -> None:
    async with overtaken() as (house, there, claim, beats):
        reading = asyncio.ensure_future(house.events(claim.turn_id))
        await asyncio.sleep(0)
        await beat(house, beats)
        await there.settle(claim, "done", reply=REPLY)
        while not reading.done():
            await beats.until_sleeping(2)
            beats.advance(1)
            await asyncio.sleep(0)
        assert [event.name for event in await reading][-1] == "turn_finished"
