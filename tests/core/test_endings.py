"""However a message comes in and however its turn is ended: it is worked on once, and ends in one terminal event."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from databot.agents.base import AgentEvent, AgentTurn
from databot.core.backlog import DispatchLimits
from databot.core.bus import MessageBus
from databot.core.supervisor import Supervisor
from databot.dispatch.memory import MemoryDispatch
from databot.storage.base import Accepted, Claim, Step, TurnState
from databot.testing.clock import FakeClock, SequentialIds
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.scripted import ScriptedProvider
from databot.types.errors import Busy, ConnectorError, StorageUnavailable
from databot.types.events import StreamEvent, TurnFailed
from databot.types.messages import InboundMessage, OutboundMessage, Turn
from tests.core.house import SECONDS, House, make_loop, open_house, said
from tests.core.test_engine import Holding, names


class SlowLog(MemoryLog):
    """A store whose answers are held back after it has done what it was asked."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.kept = asyncio.Event()
        self.answers = asyncio.Event()
        self.stopping = asyncio.Event()
        self.stops = asyncio.Event()
        self.stops.set()
        self.refused: Exception | None = None

    async def ingest(
        self, turn_id: str, message: InboundMessage, *, most_waiting: int = 2**31
    ) -> Accepted:
        accepted = await super().ingest(turn_id, message, most_waiting=most_waiting)
        self.kept.set()
        if self.refused is not None:
            refused, self.refused = self.refused, None
            raise refused
        await self.answers.wait()
        return accepted

    async def stop(
        self,
        tenant_id: str,
        turn_id: str,
        error: Mapping[str, str],
        *,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        self.stopping.set()
        await self.stops.wait()
        return await super().stop(tenant_id, turn_id, error, deliver=deliver)


class SlowClaims(MemoryClaims):
    """Claims whose ends are held back."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.settling = asyncio.Event()
        self.settles = asyncio.Event()

    async def settle(
        self,
        claim: Claim,
        state: TurnState,
        *,
        steps: Sequence[Step] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        self.settling.set()
        await self.settles.wait()
        return await super().settle(
            claim, state, steps=steps, reply=reply, error=error, deliver=deliver
        )


async def test_a_message_that_was_kept_is_answered_although_its_door_was_cut_off() -> None:
    log = SlowLog()
    provider = ScriptedProvider(["here"])
    async with open_house(make_loop(provider), log=log) as house:
        publishing = asyncio.ensure_future(house.publish(said("hello", message_id="m1")))
        await asyncio.wait_for(log.kept.wait(), SECONDS)
        publishing.cancel()
        await asyncio.wait([publishing])
        log.answers.set()
        again = await house.publish(said("hello", message_id="m1"))
        assert names(await house.events(again))[-1] == "turn_finished"
    assert len(provider.requests) == 1


async def test_a_message_kept_without_the_door_knowing_is_answered_when_it_comes_again() -> None:
    log = SlowLog()
    log.answers.set()
    log.refused = StorageUnavailable("the connection was lost; nobody knows")
    provider = ScriptedProvider(["here"])
    async with open_house(make_loop(provider), log=log) as house:
        with pytest.raises(StorageUnavailable):
            await house.publish(said("hello", message_id="m1"))
        again = await house.publish(said("hello", message_id="m1"))
        assert names(await house.events(again))[-1] == "turn_finished"
    assert len(provider.requests) == 1


async def test_a_message_that_comes_again_while_its_turn_runs_or_waits_is_worked_on_once() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        running = await house.publish(said("first", message_id="m1"))
        waiting = await house.publish(said("second", message_id="m2"))
        await agent.wait_begun()
        assert await house.publish(said("first", message_id="m1")) == running
        assert await house.publish(said("second", message_id="m2")) == waiting
        agent.go.set()
        await house.events(running)
        await house.events(waiting)
    assert agent.order == ["first", "second"]


async def last_events(house: House, turn: str) -> list[StreamEvent]:
    return [event for event in await house.events(turn) if event.name.startswith("turn_")][1:]


async def test_a_turn_cancelled_by_two_at_once_ends_once() -> None:
    agent, log = Holding(), MemoryLog(FakeClock())
    claims = SlowClaims(log)
    async with open_house(agent, log=log, claims=claims) as house:
        turn = await house.publish(said("hello"))
        await agent.wait_begun()
        await house.running.engine.cancel("default", turn)
        await asyncio.wait_for(claims.settling.wait(), SECONDS)
        await house.running.engine.cancel("default", turn)
        await asyncio.sleep(0)
        claims.settles.set()
        (end,) = await last_events(house, turn)
    assert isinstance(end, TurnFailed)
    assert end.error == "cancelled"


async def test_a_turn_cancelled_while_its_failure_is_stored_ends_as_failed() -> None:
    log = MemoryLog(FakeClock())
    claims = SlowClaims(log)
    provider = ScriptedProvider([ConnectorError("the model's cache is gone")])
    async with open_house(make_loop(provider), log=log, claims=claims) as house:
        turn = await house.publish(said("hello"))
        await asyncio.wait_for(claims.settling.wait(), SECONDS)
        await house.running.engine.cancel("default", turn)
        claims.settles.set()
        (end,) = await last_events(house, turn)
    assert isinstance(end, TurnFailed)
    assert end.error == ConnectorError.type


async def test_a_waiting_turn_is_ended_although_who_cancelled_it_has_left() -> None:
    agent, log = Holding(), SlowLog()
    log.answers.set()
    async with open_house(agent, log=log) as house:
        first = await house.publish(said("first"))
        second = await house.publish(said("second"))
        await agent.wait_begun()
        log.stops.clear()
        cancelling = asyncio.ensure_future(house.running.engine.cancel("default", second))
        await asyncio.wait_for(log.stopping.wait(), SECONDS)
        cancelling.cancel()
        await asyncio.wait([cancelling])
        log.stops.set()
        ends = await house.events(second)
        assert [event.name for event in ends] == ["turn_failed"]
        agent.go.set()
        assert names(await house.events(first))[-1] == "turn_finished"
    assert agent.order == ["first"]


async def test_a_time_limit_inside_an_agent_is_not_told_as_the_turns_own() -> None:
    class Impatient:
        name = "impatient"

        async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
            del turn
            raise TimeoutError
            yield  # pyright: ignore[reportUnreachable] - what makes it a generator

    async with open_house(Impatient()) as house:
        (end,) = await last_events(house, await house.publish(said("hello")))
    assert isinstance(end, TurnFailed)
    assert end.error == "internal_error"


async def test_a_stopping_engine_waits_for_its_subscribers() -> None:
    delivered: list[str] = []
    sending, go = asyncio.Event(), asyncio.Event()

    async def deliver(turn: Turn, event: StreamEvent) -> None:
        sending.set()
        await go.wait()
        delivered.append(f"{turn.message.content}: {event.name}")

    async with open_house(make_loop(ScriptedProvider(["here"]))) as house:
        house.running.bus.subscribe_async(
            deliver, name="slow", only=lambda happened: happened.event.name == "message"
        )
        await house.ask(said("hello"))
        await asyncio.wait_for(sending.wait(), SECONDS)
        asyncio.get_running_loop().call_soon(go.set)
    assert delivered == ["hello: message"]


async def test_a_subscriber_held_up_by_one_conversation_is_told_of_the_others() -> None:
    held, told = asyncio.Event(), asyncio.Queue[str]()

    async def deliver(turn: Turn, event: StreamEvent) -> None:
        if turn.message.chat_id == "slow":
            await held.wait()
        told.put_nowait(f"{turn.message.chat_id} {event.name}")

    async with Supervisor() as supervisor:
        clock = FakeClock()
        bus = MessageBus(MemoryLog(clock), MemoryDispatch(), SequentialIds(), supervisor)
        bus.subscribe_async(deliver, name="x")
        for chat in ("slow", "quick"):
            turn = Turn(id=chat, message=said("x", chat_id=chat), started_at=clock.now())
            bus.emit(turn, TurnFailed(turn_id=chat, session_id=chat, error="x", reason="x"))
        assert await asyncio.wait_for(told.get(), SECONDS) == "quick turn_failed"
        held.set()
        assert await asyncio.wait_for(told.get(), SECONDS) == "slow turn_failed"


async def test_messages_in_work_are_bounded_by_their_bytes_and_make_room_when_they_end() -> None:
    agent = Holding()
    limits = DispatchLimits(max_bytes=1_000)
    async with open_house(agent, limits=limits) as house:
        large = await house.publish(said("x" * 900, chat_id="a"))
        await agent.wait_begun()
        with pytest.raises(Busy):
            await house.publish(said("y" * 200, chat_id="b"))
        small = await house.publish(said("z" * 50, chat_id="c"))
        agent.go.set()
        await house.events(large)
        await house.events(small)
        again = await house.publish(said("y" * 200, chat_id="b"))
        assert names(await house.events(again))[-1] == "turn_finished"
