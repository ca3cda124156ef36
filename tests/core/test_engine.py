"""The engine as doors see it: accepted messages, one terminal event, order, fairness, stopping and going on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from databot.agents.base import AgentEvent, AgentTurn, Answered
from databot.core.backlog import DispatchLimits
from databot.core.base import follow
from databot.memory.buffer import BufferMemory
from databot.middleware.base import Respond
from databot.storage.base import Accepted, Claim, Step, TurnState
from databot.testing.clock import FakeClock
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.scripted import ScriptedProvider, calling
from databot.types.chat import ChatMessage, Usage
from databot.types.closing import closing
from databot.types.errors import (
    Busy,
    NotFound,
    ProviderTimeout,
    RequestError,
    StorageUnavailable,
    TooLarge,
)
from databot.types.events import TERMINAL, StreamEvent, TextDelta, TurnFailed, TurnRestarted
from databot.types.messages import InboundMessage
from tests.core.house import SECONDS, House, make_loop, open_house, said


def names(events: list[StreamEvent]) -> list[str]:
    return [event.name for event in events]


class Holding:
    """An agent that begins, then waits until it is let go."""

    name = "holding"

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.go = asyncio.Event()
        self.order: list[str] = []
        self.running = 0
        self.most = 0

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        text = turn.turn.message.content
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.put_nowait(text)
        try:
            yield TextDelta(turn_id=turn.turn.id, text="begun ")
            await self.go.wait()
            await asyncio.sleep(0)
            self.order.append(text)
            yield Answered(text=text, finish_reason="completed", usage=Usage())
        finally:
            self.running -= 1

    async def wait_begun(self) -> str:
        return await asyncio.wait_for(self.begun.get(), 10)


async def test_a_turn_is_told_from_start_to_one_end() -> None:
    provider = ScriptedProvider([calling("echo", '{"text": "1"}'), "One."])
    async with open_house(make_loop(provider)) as house:
        events = await house.ask(said("hello"))
    assert names(events) == [
        "turn_started",
        "tool_started",
        "tool_finished",
        "text_delta",
        "message",
        "turn_finished",
    ]


async def test_a_failing_model_ends_the_turn_with_its_type_and_a_plain_line() -> None:
    error = ProviderTimeout("the model at api.test gave no answer for 60 s")
    async with open_house(make_loop(ScriptedProvider([error, "fine"]))) as house:
        events = await house.ask(said("hello"))
        assert isinstance(events[-1], TurnFailed)
        assert events[-1].error == "model_timeout"
        assert "60 s" in events[-1].reason
        assert (await house.reply("again")).content == "fine"


async def test_a_bug_in_an_agent_ends_the_turn_without_its_text() -> None:
    class Broken:
        name = "broken"

        async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
            yield TextDelta(turn_id=turn.turn.id, text="x")
            raise ZeroDivisionError("password=hunter2")

    async with open_house(Broken()) as house:
        events = await house.ask(said("hello"))
    assert sum(isinstance(event, TERMINAL) for event in events) == 1
    assert isinstance(events[-1], TurnFailed)
    assert "hunter2" not in events[-1].reason


async def test_an_agent_without_a_last_word_fails_its_turn() -> None:
    class Silent:
        name = "silent"

        async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
            yield TextDelta(turn_id=turn.turn.id, text="half an ans")

    log = MemoryLog(FakeClock())
    async with open_house(Silent(), log=log) as house:
        turn = await house.publish(said("hello"))
        events = await house.events(turn)
        record = await log.turn("default", turn)
    assert isinstance(events[-1], TurnFailed)
    assert "without an answer" in events[-1].reason
    assert "message" not in names(events)
    assert record is not None
    assert (record.state, record.reply) == ("failed", None)


async def test_an_agent_that_something_cancels_ends_its_turn_all_the_same() -> None:
    class Cancelled:
        name = "cancelled"

        async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
            yield TextDelta(turn_id=turn.turn.id, text="x")
            raise asyncio.CancelledError

    async with open_house(Cancelled()) as house:
        events = await house.ask(said("hello"))
    assert sum(isinstance(event, TERMINAL) for event in events) == 1
    assert isinstance(events[-1], TurnFailed)
    assert events[-1].error == "internal_error"


async def test_a_turn_over_its_time_is_stopped() -> None:
    async with open_house(Holding(), turn_timeout_s=0.05) as house:
        events = await house.ask(said("hello"))
    assert isinstance(events[-1], TurnFailed)
    assert events[-1].error == "turn_timeout"


async def test_history_of_earlier_turns_reaches_the_model_with_its_tool_calls() -> None:
    provider = ScriptedProvider([calling("echo", '{"text": "1"}'), "One.", "Two."])
    log = MemoryLog(FakeClock())
    loop = make_loop(provider, memory=BufferMemory(log, 40))
    async with open_house(loop, log=log) as house:
        await house.reply("first")
        await house.reply("second")
    roles = [message.role for message in provider.requests[2].messages]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_messages_of_one_conversation_are_answered_in_order_one_at_a_time() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        turns = [await house.publish(said(str(n))) for n in range(10)]
        await agent.wait_begun()
        agent.go.set()
        for turn in turns:
            await house.events(turn)
    assert agent.order == [str(n) for n in range(10)]
    assert agent.most == 1


async def test_a_slow_conversation_does_not_hold_up_another() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        await house.publish(said("slow", chat_id="a"))
        await house.publish(said("other", chat_id="b"))
        assert {await agent.wait_begun(), await agent.wait_begun()} == {"slow", "other"}
        agent.go.set()


async def test_a_flooding_tenant_does_not_go_first() -> None:
    agent = Holding()
    limits = DispatchLimits(max_running=1, max_waiting_per_conversation=100)
    async with open_house(agent, limits=limits) as house:
        flood = [await house.publish(said("flood", chat_id=f"f{n}")) for n in range(20)]
        quiet = await house.publish(said("quiet", tenant_id="other"))
        await agent.wait_begun()
        agent.go.set()
        await house.events(quiet, tenant_id="other")
        assert agent.order.index("quiet") <= 2
        for turn in flood:
            await house.events(turn)


class Silent(Holding):
    """One that says nothing until it is let go."""

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        async with closing(super().respond(turn)) as events:
            async for event in events:
                if not isinstance(event, TextDelta):
                    yield event


@pytest.mark.parametrize(("agent", "begun"), [(Silent, 2), (Holding, 4)])
async def test_fewer_turns_begin_at_once_than_run_at_once(agent: type[Holding], begun: int) -> None:
    limits = DispatchLimits(max_running=4, max_silent=2)
    holding = agent()
    async with open_house(holding, limits=limits) as house:
        for number in range(6):
            await house.publish(said("hello", chat_id=f"c{number}"))
        for _ in range(begun):
            await holding.wait_begun()
        dispatcher = house.running.machinery.dispatcher
        assert (dispatcher.running, dispatcher.waiting) == (begun, 6 - begun)
        holding.go.set()
        for _ in range(6 - begun):
            await holding.wait_begun()


async def test_too_many_waiting_messages_are_refused_before_they_are_kept() -> None:
    agent = Holding()
    limits = DispatchLimits(max_waiting_per_conversation=2)
    async with open_house(agent, limits=limits) as house:
        turns = [await house.publish(said("running"))]
        await agent.wait_begun()
        turns += [await house.publish(said(str(n))) for n in range(2)]
        with pytest.raises(Busy):
            await house.publish(said("one too many"))
        elsewhere = await house.publish(said("fine", chat_id="elsewhere"))
        agent.go.set()
        for turn in [*turns, elsewhere]:
            await house.events(turn)
        assert len(await house.log.messages(said("x").conversation)) == 3


async def test_a_redelivered_message_is_answered_once() -> None:
    provider = ScriptedProvider(["only once"])
    async with open_house(make_loop(provider)) as house:
        first = await house.publish(said("hello", message_id="m1"))
        second = await house.publish(said("hello", message_id="m1"))
        assert first == second
        await house.events(first)
    assert len(provider.requests) == 1


async def test_a_reader_can_leave_and_come_back_where_it_was() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        turn = await house.publish(said("hello"))
        seen: list[int] = []
        async for item in follow(house.running.engine, "default", turn):
            seen.append(item.number)
            if item.event.name == "text_delta":
                break
        agent.go.set()
        async with asyncio.timeout(10):
            rest = [i async for i in follow(house.running.engine, "default", turn, after=seen[-1])]
    assert seen + [item.number for item in rest] == list(range(1, len(seen) + len(rest) + 1))
    assert rest[-1].event.name == "turn_finished"


async def test_an_old_turn_is_told_from_the_store() -> None:
    log = MemoryLog(FakeClock())
    async with open_house(make_loop(ScriptedProvider(["kept"])), log=log) as house:
        turn = await house.publish(said("hello"))
        await house.events(turn)
    async with open_house(make_loop(ScriptedProvider([])), log=log) as house:
        assert names(await house.events(turn)) == ["message", "turn_finished"]


async def test_a_foreign_tenant_sees_no_turn() -> None:
    async with open_house(make_loop(ScriptedProvider(["mine"]))) as house:
        turn = await house.publish(said("hello"))
        await house.events(turn)
        with pytest.raises(NotFound):
            await house.events(turn, tenant_id="other")
        with pytest.raises(NotFound):
            await house.running.engine.cancel("other", turn)


async def test_a_foreign_tenant_does_not_see_a_turn_that_is_running() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        turn = await house.publish(said("hello"))
        await agent.wait_begun()
        with pytest.raises(NotFound):
            await house.events(turn, tenant_id="other")
        agent.go.set()
        assert names(await house.events(turn))[-1] == "turn_finished"


async def test_a_deleted_turn_is_gone_although_its_events_were_just_told() -> None:
    log = MemoryLog(FakeClock())
    async with open_house(make_loop(ScriptedProvider(["kept"])), log=log) as house:
        message = said("hello")
        turn = await house.publish(message)
        await house.events(turn)
        await log.delete(message.conversation)
        with pytest.raises(NotFound):
            await house.events(turn)


async def test_cancelling_a_running_turn_stops_it_and_says_so() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        turn = await house.publish(said("hello"))
        await agent.wait_begun()
        await house.running.engine.cancel("default", turn)
        events = await house.events(turn)
        assert isinstance(events[-1], TurnFailed)
        assert events[-1].error == "cancelled"
        assert agent.running == 0
        record = await house.log.turn("default", turn)
        assert record is not None
        assert record.state == "cancelled"


async def test_cancelling_a_turn_before_its_first_step_still_ends_it() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        turn = await house.publish(said("hello"))
        await house.running.engine.cancel("default", turn)
        events = await house.events(turn)
        assert isinstance(events[-1], TurnFailed)
        agent.go.set()
        assert (await house.reply("next")).finish_reason == "completed"


async def test_cancelling_a_waiting_turn_leaves_the_running_one_alone() -> None:
    agent = Holding()
    async with open_house(agent) as house:
        first = await house.publish(said("first"))
        await agent.wait_begun()
        second = await house.publish(said("second"))
        await house.running.engine.cancel("default", second)
        assert isinstance((await house.events(second))[-1], TurnFailed)
        agent.go.set()
        assert names(await house.events(first))[-1] == "turn_finished"
    assert agent.order == ["first"]


async def test_cancelling_an_ended_turn_changes_nothing() -> None:
    async with open_house(make_loop(ScriptedProvider(["done"]))) as house:
        turn = await house.publish(said("hello"))
        await house.events(turn)
        await house.running.engine.cancel("default", turn)
        record = await house.log.turn("default", turn)
    assert record is not None
    assert record.state == "done"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (said(""), RequestError),
        (said(" \n\t"), RequestError),
        (said("a\x00b"), RequestError),
        (said("a\ud800b"), RequestError),
        (said("x" * 200_001), TooLarge),
        (said("x", bot_id="nobody"), NotFound),
        (said("x", agent="nobody"), NotFound),
    ],
)
async def test_a_message_that_cannot_be_answered_is_refused_and_not_kept(
    message: InboundMessage, error: type[Exception]
) -> None:
    async with open_house(make_loop(ScriptedProvider([]))) as house:
        with pytest.raises(error):
            await house.publish(message)
        assert await house.log.list("default") == []


async def test_an_agent_is_forced_by_its_name() -> None:
    async with open_house(make_loop(ScriptedProvider(["a", "b"]))) as house:
        turn = await house.publish(said("@sql how many?"))
        await house.events(turn)
        record = await house.log.turn("default", turn)
        assert record is not None
        assert (record.message.agent, record.message.content) == ("sql", "how many?")
        plain = await house.publish(said("@home is where?"))
        await house.events(plain)
        record = await house.log.turn("default", plain)
    assert record is not None
    assert record.message.content == "@home is where?"


async def test_a_turn_left_by_a_dead_worker_goes_on_from_its_journal() -> None:
    log = MemoryLog(FakeClock())
    message = said("hello")
    await log.ingest("turn_9", message)
    claim = await MemoryClaims(log).claim(message.conversation)
    assert claim is not None
    kept = ChatMessage(role="assistant", content="Half.")
    await log.append(claim, Step(turn_id="turn_9", step=1, messages=(kept,)))
    provider = ScriptedProvider(["Whole."])
    async with open_house(make_loop(provider), log=log) as house:
        events = await house.events("turn_9")
    assert isinstance(events[0], TurnRestarted)
    assert provider.requests[0].messages[-1].content == "Half."
    assert names(events)[-1] == "turn_finished"


async def test_stopping_leaves_unfinished_turns_for_the_next_start() -> None:
    log = MemoryLog(FakeClock())
    agent = Holding()
    async with open_house(agent, log=log, drain_s=0.01) as house:
        turn = await house.publish(said("hello"))
        await agent.wait_begun()
        reader = asyncio.ensure_future(house.events(turn))
        await asyncio.sleep(0)
    events = await asyncio.wait_for(reader, 10)
    assert isinstance(events[-1], TurnFailed)
    assert events[-1].error == "interrupted"
    assert log.turns[turn].record.state == "queued"  # given back: anybody may go on at once
    assert log.held[log.turns[turn].record.conversation].owner is None
    async with open_house(make_loop(ScriptedProvider(["late"])), log=log) as house:
        assert names(await house.events(turn))[-1] == "turn_finished"


async def test_a_stopping_engine_takes_no_more_messages() -> None:
    async with open_house(make_loop(ScriptedProvider([]))) as house:
        await house.running.engine.stop()
        with pytest.raises(Busy):
            await house.publish(said("late"))


class Flaky(MemoryLog):
    """A log that cannot be written to for a while."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.failures = 0

    async def ingest(
        self, turn_id: str, message: InboundMessage, *, most_waiting: int = 2**31
    ) -> Accepted:
        self.fail()
        return await super().ingest(turn_id, message, most_waiting=most_waiting)

    def fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("disk full")


class FlakyClaims(MemoryClaims):
    """Claims in such a log."""

    def __init__(self, log: Flaky) -> None:
        super().__init__(log)
        self._flaky = log

    async def settle(self, claim: Claim, state: TurnState, **rest: Any) -> bool:  # noqa: ANN401 - as they come
        self._flaky.fail()
        return await super().settle(claim, state, **rest)


async def test_a_store_that_cannot_write_for_a_moment_loses_nothing() -> None:
    log = Flaky()
    agent = make_loop(ScriptedProvider(["kept"]))
    async with open_house(agent, log=log, claims=FlakyClaims(log)) as house:
        turn = await house.publish(said("hello"))
        log.failures = 2
        assert names(await house.events(turn))[-1] == "turn_finished"


async def test_a_turn_that_cannot_be_kept_is_answered_when_the_store_can_be_written_again() -> None:
    log, beats = Flaky(), FakeClock()
    log.clock = beats
    agent = make_loop(ScriptedProvider(["lost", "found", "fine"]))
    claims = FlakyClaims(log)
    async with open_house(agent, log=log, claims=claims, beats=beats) as house:
        turn = await house.publish(said("hello"))
        log.failures = 100
        events = await house.events(turn)
        assert isinstance(events[-1], TurnFailed)
        assert events[-1].error == "storage_unavailable"
        with pytest.raises(StorageUnavailable):
            await house.publish(said("refused"))
        assert "is kept and is answered" in events[-1].reason
        log.failures = 0
        async with asyncio.timeout(SECONDS):
            while log.turns[turn].record.state != "done":
                await beats.until_sleeping(2)  # the sweeper, and the keeper of leases
                beats.advance(1)
        events = await house.events(turn)
        assert isinstance(events[0], TurnRestarted)
        assert names(events)[-1] == "turn_finished"
        assert (await house.reply("again")).content == "fine"


async def test_middleware_stands_around_every_turn_outermost_first() -> None:
    class Stamp:
        def __init__(self, mark: str) -> None:
            self.mark = mark

        async def wrap(self, turn: AgentTurn, respond: Respond) -> AsyncIterator[AgentEvent]:
            yield TextDelta(turn_id=turn.turn.id, text=f"<{self.mark}>")
            async for event in respond(turn):
                yield event

    loop = make_loop(ScriptedProvider(["x"]))
    async with open_house(loop, middleware=[Stamp("a"), Stamp("b")]) as house:
        assert (await house.reply("hello")).content == "<a><b>x"


async def answer_many(house: House, conversations: int, each: int) -> None:
    turns = [
        await house.publish(said(str(n), chat_id=f"c{c}"))
        for n in range(each)
        for c in range(conversations)
    ]
    for turn in turns:
        assert names(await house.events(turn))[-1] == "turn_finished"


async def test_a_thousand_messages_at_once_are_each_answered_once() -> None:
    loop = make_loop(ScriptedProvider(lambda _: "ok"))
    async with open_house(loop) as house:
        await answer_many(house, conversations=100, each=10)
        for c in range(100):
            log = await house.log.messages(said("x", chat_id=f"c{c}").conversation)
            assert [m.content for m in log if m.role == "user"] == [str(n) for n in range(10)]
            assert sum(m.role == "assistant" for m in log) == 10
