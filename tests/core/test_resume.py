"""A turn that goes on after its worker died: what was found out before is not lost, and not done again."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from databot.agents.base import AgentEvent, AgentTurn, Answered, Route
from databot.agents.delegator import Delegator
from databot.core.loop import AgentLoop
from databot.core.reports import FIGURES_KEPT
from databot.rag.base import Enrichment
from databot.storage.base import Step
from databot.testing.clock import FakeClock
from databot.testing.memory_claims import MemoryClaims
from databot.testing.memory_log import MemoryLog
from databot.testing.scripted import Answer, ScriptedProvider, calling
from databot.tools.base import ToolResult
from databot.tools.numbers import unsupported_figures
from databot.types.chat import ChatMessage, ChatReply, ToolCall, Usage
from databot.types.events import AgentSelected, ToolFinished, TurnFinished, TurnRestarted
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, Turn
from tests.core.house import FunctionTools, make_loop, open_house, said

EVIDENCE = Evidence(
    connector="shop",
    statement="SELECT COUNT(*) FROM orders",
    rows=1,
    truncated=False,
    elapsed_ms=1.5,
    as_of="2026-01-01T00:00:00Z",
    columns=("n",),
    sample=((4917,),),
)
ARTIFACT = ArtifactRef(id="artifact_1", name="orders.csv", media_type="text/csv", size=10)
COST = Usage(input_tokens=10, output_tokens=2, cost_usd=0.5)
COUNT = ChatReply(
    text="Let me count [1].",
    tool_calls=(ToolCall(id="c1", name="count", arguments='{"of": "orders"}'),),
    usage=COST,
)
ANSWER = ChatReply(text="There are 4,917 orders.", usage=COST)
TERMS = Citation(marker="[1]", title="Terms", source="t.md", quote="an order is", score=0.9)


async def count(arguments: Mapping[str, Any]) -> ToolResult:
    assert arguments == {"of": "orders"}
    return ToolResult(
        content="[[4917]]",
        summary="1 row",
        evidence=(EVIDENCE,),
        artifacts=(ARTIFACT,),
        figures=(4917.0,),
    )


async def count_much(arguments: Mapping[str, Any]) -> ToolResult:
    del arguments
    return ToolResult(content="[…]", figures=(*map(float, range(FIGURES_KEPT)), 4917.0))


class Library:
    """Retrieval that finds the same passages for whatever is asked."""

    def __init__(self, *citations: Citation) -> None:
        self.enrichment = Enrichment(text="REFERENCE" if citations else "", citations=citations)

    async def enrich_prompt(self, turn: Turn) -> Enrichment:
        del turn
        return self.enrichment


def dying_after(*answers: Answer) -> tuple[ScriptedProvider, asyncio.Event]:
    """A model that never answers once the answers are used up, and the event of its being asked."""
    reached = asyncio.Event()

    async def pause() -> None:
        if len(provider.requests) > len(answers):
            reached.set()
            await asyncio.Event().wait()

    provider = ScriptedProvider([*answers, "never said"], pause=pause)
    return provider, reached


def counting(
    provider: ScriptedProvider, tools: FunctionTools | None = None, library: Library | None = None
) -> AgentLoop:
    return make_loop(
        provider,
        tools or FunctionTools({"count": count}),
        enricher=library,
        check_figures=unsupported_figures,
    )


async def left_unfinished(log: MemoryLog, loop: AgentLoop, reached: asyncio.Event) -> str:
    """Begin a turn and leave it where its worker dies."""
    async with open_house(loop, log=log, drain_s=0.01) as house:
        turn = await house.publish(said("How many orders?"))
        await asyncio.wait_for(reached.wait(), 10)
    assert log.turns[turn].record.state == "queued"
    return turn


async def resumed(
    provider: ScriptedProvider,
    *before: Answer,
    tools: FunctionTools | None = None,
    libraries: Sequence[Library | None] = (None, None),
) -> OutboundMessage:
    """The reply to a turn whose first worker died after the answers `before`."""
    log = MemoryLog(FakeClock())
    dying, reached = dying_after(*before)
    turn = await left_unfinished(log, counting(dying, tools, libraries[0]), reached)
    async with open_house(counting(provider, tools, libraries[1]), log=log) as house:
        last = (await house.events(turn))[-1]
    assert isinstance(last, TurnFinished)
    return last.message


async def test_a_resumed_reply_has_the_evidence_of_the_calls_made_before() -> None:
    reply = await resumed(ScriptedProvider([ANSWER]), COUNT)
    assert reply.content == "Let me count [1].\n\nThere are 4,917 orders."
    assert reply.evidence == (EVIDENCE,)
    assert reply.artifacts == (ARTIFACT,)
    assert [(tool.name, tool.args, tool.ok) for tool in reply.tools] == [
        ("count", {"of": "orders"}, True)
    ]


async def test_a_figure_found_before_a_crash_is_not_marked_after_it() -> None:
    assert (await resumed(ScriptedProvider([ANSWER]), COUNT)).notes == ()
    wrong = await resumed(ScriptedProvider(["There are 4,918 orders."]), COUNT)
    assert "Not found in any result: 4,918" in wrong.notes[0]


async def test_tokens_and_money_spent_before_a_crash_are_in_the_account() -> None:
    reply = await resumed(ScriptedProvider([ANSWER]), COUNT)
    assert reply.usage == COST + COST


async def test_a_call_made_before_a_crash_is_not_made_again() -> None:
    tools = FunctionTools({"count": count})
    again = calling("count", '{ "of": "orders" }', call_id="c2")
    provider = ScriptedProvider([again, ANSWER])
    await resumed(provider, COUNT, tools=tools)
    assert len(tools.calls) == 1
    assert "already made" in provider.requests[1].messages[-1].content


async def test_a_reader_is_told_anew_what_was_done_before() -> None:
    log = MemoryLog(FakeClock())
    dying, reached = dying_after(COUNT)
    turn = await left_unfinished(log, counting(dying), reached)
    async with open_house(counting(ScriptedProvider([ANSWER])), log=log) as house:
        events = await house.events(turn)
    assert isinstance(events[0], TurnRestarted)
    assert [event.evidence for event in events if isinstance(event, ToolFinished)] == [(EVIDENCE,)]


async def test_a_figure_that_may_have_been_found_is_not_called_missing() -> None:
    tools = FunctionTools({"count": count_much})
    reply = await resumed(ScriptedProvider([ANSWER]), COUNT, tools=tools)
    assert "Could not be checked" in reply.notes[0]
    assert "4,917" in reply.notes[0]


async def test_a_step_kept_without_its_support_makes_no_figure_wrong() -> None:
    log = MemoryLog(FakeClock())
    message = said("How many orders?")
    await log.ingest("turn_9", message)
    claim = await MemoryClaims(log).claim(message.conversation)
    assert claim is not None
    result = ChatMessage(role="tool", content="[[4917]]", tool_call_id="c1", name="count")
    asked = ChatMessage(role="assistant", content="", tool_calls=COUNT.tool_calls)
    for number, kept in enumerate((asked, result), start=1):
        step = Step(turn_id="turn_9", step=number, messages=(kept,))
        await log.append(claim, step)
    async with open_house(counting(ScriptedProvider([ANSWER])), log=log) as house:
        last = (await house.events("turn_9"))[-1]
    assert isinstance(last, TurnFinished)
    assert not any("Not found" in note for note in last.message.notes)


@pytest.mark.parametrize("found", [(), (TERMS,)])
async def test_words_kept_from_before_a_crash_keep_their_citation(
    found: tuple[Citation, ...],
) -> None:
    libraries = (Library(TERMS), Library(*found))
    reply = await resumed(ScriptedProvider([ANSWER]), COUNT, libraries=libraries)
    assert reply.citations == (TERMS,)


class Fickle:
    """A router that names one agent after the other."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    async def route(self, turn: AgentTurn) -> Route:
        del turn
        return Route(agent=self.names.pop(0), reason="its turn")


class Other:
    """An agent nobody should come to."""

    name = "other"

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        del turn
        yield Answered(text="", finish_reason="completed", usage=Usage())


async def test_the_agent_that_had_begun_goes_on() -> None:
    log = MemoryLog(FakeClock())
    dying, reached = dying_after(COUNT)
    router = Fickle("general", "other")

    def house_of(loop: AgentLoop) -> Delegator:
        return Delegator(router, {"general": loop, "other": Other()}, fallback="general")

    async with open_house(house_of(counting(dying)), log=log, drain_s=0.01) as house:
        turn = await house.publish(said("How many orders?"))
        await asyncio.wait_for(reached.wait(), 10)
    async with open_house(house_of(counting(ScriptedProvider([ANSWER]))), log=log) as house:
        events = await house.events(turn)
    assert [event.agent for event in events if isinstance(event, AgentSelected)] == ["general"]
    assert router.names == ["other"]


async def at_once(attempts: int) -> int:
    """How many turns run side by side whose workers have died so often; all are answered."""
    clock, beats = FakeClock(), FakeClock()
    log = MemoryLog(clock)
    running = most = 0

    async def pause() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1

    turns = [f"turn_{number}" for number in range(4)]
    for turn in turns:
        await log.ingest(turn, said("go on", chat_id=turn))
        log.turns[turn].attempts = log.turns[turn].claims = attempts
    loop = make_loop(ScriptedProvider(["done"] * len(turns), pause=pause))
    async with open_house(loop, log=log, beats=beats), asyncio.timeout(10):
        while await log.open_by_tenant():
            beats.advance(1)
            clock.advance(1)
            await asyncio.sleep(0)
    assert {log.turns[turn].record.state for turn in turns} == {"done"}
    return most


async def test_the_last_attempts_are_made_one_by_one_so_that_none_dies_of_another() -> None:
    assert await at_once(attempts=3) == 4
    assert await at_once(attempts=4) == 1
