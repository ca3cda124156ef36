"""A turn that waits for a person: run once when it is approved, told when it is not, and in nobody's way meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from databot.app.approvals import Decisions, keep_expiring
from databot.core.backlog import DispatchLimits
from databot.core.base import follow
from databot.testing.clock import FakeClock
from databot.testing.memory_approvals import MemoryApprovals
from databot.testing.memory_log import MemoryLog
from databot.testing.scripted import Answer, ScriptedProvider, calling
from databot.tools.approvals import StoreApprover
from databot.tools.base import Approval, Effect, ToolResult, Verdict
from databot.tools.guards import ApprovalRequired
from databot.types.chat import ChatReply, ChatRequest, ToolCall
from databot.types.errors import Conflict, Forbidden, NotFound
from databot.types.events import StreamEvent, TurnFinished
from databot.types.messages import Principal
from tests.core.house import FunctionTools, House, make_loop, open_house, said

ANN, EVE = Principal(id="ann", tenant_id="default"), Principal(id="eve", tenant_id="acme")
SECONDS = 20


@dataclass(frozen=True, slots=True)
class Guarded:
    """A running engine whose tool `drop` needs a person."""

    house: House
    tools: FunctionTools
    approvals: MemoryApprovals
    provider: ScriptedProvider
    clock: FakeClock

    @property
    def desk(self) -> Decisions:
        return Decisions(self.approvals, self.house.running.engine.go_on)

    async def waiting(self, text: str = "drop it", **place: str) -> str:
        """A turn that has come to where it waits."""
        turn = await self.house.publish(said(text, **place))
        stream = follow(self.house.running.engine, "default", turn)
        async with asyncio.timeout(SECONDS):
            async for item in stream:
                if item.event.name == "approval_requested":
                    break
        await stream.aclose()
        return turn

    async def decide(self, turn: str, verdict: Verdict, note: str = "") -> Approval:
        (asked, *_) = await self.approvals.pending("default", turn_id=turn)
        return await self.desk.decide(ANN, asked.id, verdict, note=note)

    async def result(self, turn: str) -> str:
        """What the tool gave, as the model read it."""
        steps = await self.house.log.steps(turn)
        return next(m.content for step in steps for m in step.messages if m.role == "tool")


async def drop(arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult(content=f"dropped {arguments.get('table')}")


def script(request: ChatRequest) -> Answer:
    """`drop …` is dropped, anything else is answered."""
    last = request.messages[-1]
    if last.role == "user" and last.content.startswith("drop"):
        return calling("drop", '{"table": "orders"}')
    return "done"


@asynccontextmanager
async def guarded(
    answer: Any = script,  # noqa: ANN401 - a script
    *,
    log: MemoryLog | None = None,
    tools: FunctionTools | None = None,
    limits: DispatchLimits | None = None,
) -> AsyncGenerator[Guarded]:
    clock = FakeClock()
    log = log or MemoryLog(clock)
    clock = log.clock if isinstance(log.clock, FakeClock) else clock
    tools = tools or FunctionTools({"drop": drop}, {"drop": Effect.PLAIN})
    approvals, provider = MemoryApprovals(log), ScriptedProvider(answer)
    guard = ApprovalRequired(tools, frozenset({"drop"}), StoreApprover(approvals))
    async with open_house(make_loop(provider, guard), log=log, limits=limits) as house:
        yield Guarded(house, tools, approvals, provider, clock)


def names(events: list[StreamEvent]) -> list[str]:
    return [event.name for event in events]


def answer_of(events: list[StreamEvent]) -> str:
    assert isinstance(events[-1], TurnFinished), events[-1]
    return events[-1].message.content


@pytest.mark.parametrize("effect", list(Effect))
async def test_an_approved_call_is_made_once_and_its_turn_answered(effect: Effect) -> None:
    tools = FunctionTools({"drop": drop}, {"drop": effect})
    async with guarded(tools=tools) as place:
        turn = await place.waiting()
        assert tools.calls == []
        await place.decide(turn, "approve")
        events = await place.house.events(turn)
        assert answer_of(events) == "done"
        assert await place.result(turn) == "dropped orders"
    assert len(tools.calls) == 1
    assert len(place.provider.requests) == 2
    assert names(events).count("turn_restarted") == 1


async def test_a_denied_call_is_not_made_and_the_model_reads_why() -> None:
    async with guarded() as place:
        turn = await place.waiting()
        await place.decide(turn, "deny", "the auditors need it")
        assert answer_of(await place.house.events(turn)) == "done"
        assert await place.result(turn) == (
            "error: the tool 'drop' was not run: a person denied it, with the words: "
            "the auditors need it"
        )
    assert place.tools.calls == []


async def test_a_waiting_turn_goes_on_in_a_daemon_that_never_saw_it_begin() -> None:
    log = MemoryLog(FakeClock())
    async with guarded(log=log) as first:
        turn = await first.waiting()
    async with guarded(log=log) as place:
        assert place.house.running.machinery.dispatcher.has(said("x").conversation) is False
        await place.decide(turn, "approve")
        assert answer_of(await place.house.events(turn)) == "done"
    assert (len(first.tools.calls), len(place.tools.calls)) == (0, 1)
    assert len(place.provider.requests) == 1  # the model's first answer was kept


async def test_what_nobody_decides_in_time_is_refused_and_told() -> None:
    async with guarded() as place:
        turn = await place.waiting()
        go_on = place.house.running.engine.go_on
        spawn = place.house.running.supervisor.spawn
        spawn(keep_expiring(place.approvals, go_on, place.clock), name="overdue")
        async with asyncio.timeout(SECONDS):
            await place.clock.until_sleeping()
        place.clock.advance(8 * 24 * 3600)
        assert answer_of(await place.house.events(turn)) == "done"
        assert "nobody decided in time" in await place.result(turn)
        name = next(iter(place.house.log.turns[turn].approvals))
        with pytest.raises(Conflict, match="in time"):
            await place.desk.decide(ANN, name, "approve")
    assert place.tools.calls == []


async def test_other_messages_of_a_conversation_are_answered_while_one_waits() -> None:
    async with guarded() as place:
        turn = await place.waiting()
        assert (await place.house.reply("hello")).content == "done"
        assert (await place.house.reply("and again")).content == "done"
        await place.decide(turn, "approve")
        assert answer_of(await place.house.events(turn)) == "done"
    assert len(place.tools.calls) == 1


async def test_waiting_turns_hold_no_task_no_lane_and_no_place() -> None:
    limits = DispatchLimits(max_running=200, max_waiting=250)
    async with guarded(limits=limits) as place:
        before = len(asyncio.all_tasks())
        turns = [await place.waiting(chat_id=f"chat {n}") for n in range(300)]
        machinery = place.house.running.machinery
        assert (machinery.worker.turns, machinery.backlog.waiting) == (0, 0)
        assert len(asyncio.all_tasks()) - before < 10
        assert (await place.house.reply("hello", chat_id="another")).content == "done"
        await place.decide(turns[123], "approve")
        assert answer_of(await place.house.events(turns[123])) == "done"
        assert machinery.backlog.waiting == 0
    assert len(place.tools.calls) == 1


async def test_of_two_people_one_decides() -> None:
    async with guarded() as place:
        turn = await place.waiting()
        (asked,) = await place.approvals.pending("default")
        outcomes = await asyncio.gather(
            place.desk.decide(ANN, asked.id, "approve"),
            place.desk.decide(ANN, asked.id, "deny"),
            return_exceptions=True,
        )
        assert [type(item) for item in outcomes] == [Approval, Conflict]
        await place.house.events(turn)
    assert len(place.tools.calls) == 1


async def test_nobody_of_another_tenant_decides() -> None:
    async with guarded() as place:
        await place.waiting()
        (asked,) = await place.approvals.pending("default")
        for verdict in ("approve", "deny"):
            with pytest.raises((NotFound, Forbidden)):
                await place.desk.decide(EVE, asked.id, verdict)
        assert await place.desk.pending(EVE) == []
        assert len(await place.desk.pending(ANN)) == 1


async def test_calls_of_one_answer_are_asked_about_together_when_they_only_read() -> None:
    both = ChatReply(
        tool_calls=(
            ToolCall(id="c1", name="drop", arguments='{"table": "a"}'),
            ToolCall(id="c2", name="drop", arguments='{"table": "b"}'),
        ),
        finish_reason="tool_calls",
    )
    tools = FunctionTools({"drop": drop}, {"drop": Effect.READ})
    async with guarded([both, "done"], tools=tools) as place:
        turn = await place.waiting()
        await place.decide(turn, "approve")
        assert tools.calls == []
        await place.decide(turn, "deny")
        assert answer_of(await place.house.events(turn)) == "done"
    assert [call.id for call in tools.calls] in (["c1"], ["c2"])


async def test_calls_that_change_something_are_asked_about_one_after_the_other() -> None:
    both = ChatReply(
        tool_calls=(
            ToolCall(id="c1", name="drop", arguments='{"table": "a"}'),
            ToolCall(id="c2", name="drop", arguments='{"table": "b"}'),
        ),
        finish_reason="tool_calls",
    )
    async with guarded([both, "done"]) as place:
        turn = await place.waiting()
        seen: list[str] = []
        stream = follow(place.house.running.engine, "default", turn)
        async with asyncio.timeout(SECONDS):
            async for item in stream:
                asked = await place.approvals.pending("default", turn_id=turn)
                if item.event.name == "approval_requested" and asked:
                    seen += [approval.call_id for approval in asked]
                    await place.decide(turn, "approve")
    assert seen == ["c1", "c2"]
    assert [call.id for call in place.tools.calls] == ["c1", "c2"]  # the first is not made again


async def test_a_stopped_turn_asks_nobody_any_more() -> None:
    async with guarded() as place:
        turn = await place.waiting()
        (asked,) = await place.approvals.pending("default")
        await place.house.running.engine.cancel("default", turn)
        assert names(await place.house.events(turn))[-1] == "turn_failed"
        with pytest.raises(Conflict):
            await place.desk.decide(ANN, asked.id, "approve")
        assert place.house.running.machinery.backlog.waiting == 0
    assert place.tools.calls == []
