"""Many calls at once, many figures, early leaving: where the loop must stay true, quick and tidy."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from databot.agents.base import AgentTurn, Answered, Route
from databot.agents.delegator import Delegator
from databot.core.calls import MOST_CALLS, MOST_FIGURES
from databot.core.loop import INLINE_CHECK_FIGURES, AgentLoop
from databot.testing.clock import START
from databot.testing.scripted import ScriptedProvider, calling
from databot.tools.base import ToolResult
from databot.types.chat import ChatReply, ToolCall
from databot.types.closing import closing
from databot.types.events import TextDelta, ToolFinished
from databot.types.messages import Turn
from tests.core.house import FunctionTools, echo, make_loop, said


def turn_of(text: str) -> AgentTurn:
    return AgentTurn(turn=Turn(id="turn_1", message=said(text), started_at=START))


async def answered(loop: AgentLoop) -> Answered:
    async with asyncio.timeout(20):
        events = [event async for event in loop.respond(turn_of("x"))]
    assert isinstance(events[-1], Answered)
    return events[-1]


def calls_of(numbers: Sequence[int]) -> ChatReply:
    return ChatReply(
        tool_calls=tuple(
            ToolCall(id=f"c{n}", name="echo", arguments=f'{{"text": "{n}"}}') for n in numbers
        )
    )


async def test_calls_over_the_limit_are_told_so_and_can_be_made_next() -> None:
    tools = FunctionTools({"echo": echo})
    first, rest = range(MOST_CALLS + 8), range(MOST_CALLS, MOST_CALLS + 8)
    provider = ScriptedProvider([calls_of(first), calls_of(rest), "done"])
    answer = await answered(make_loop(provider, tools))
    told = [m.content for m in provider.requests[1].messages if m.role == "tool"]
    assert told[:MOST_CALLS] == [str(n) for n in range(MOST_CALLS)]
    assert all("not made" in text for text in told[MOST_CALLS:])
    assert not any("already made" in text for text in told)
    assert len(tools.calls) == MOST_CALLS + 8
    assert answer.finish_reason == "completed"


async def test_equal_calls_do_not_use_the_limit_up() -> None:
    tools = FunctionTools({"echo": echo})
    provider = ScriptedProvider([calls_of([0] * MOST_CALLS), "done"])
    await answered(make_loop(provider, tools))
    told = [m.content for m in provider.requests[1].messages if m.role == "tool"]
    assert len(tools.calls) == 1
    assert all("already made" in text for text in told[1:])


def figures_tool(count: int) -> FunctionTools:
    async def rows(arguments: Mapping[str, Any]) -> ToolResult:
        del arguments
        return ToolResult(content="[…]", figures=tuple(map(float, range(count))))

    return FunctionTools({"rows": rows})


@pytest.mark.parametrize(("count", "on_the_loop"), [(10, True), (INLINE_CHECK_FIGURES + 1, False)])
async def test_many_figures_are_checked_off_the_event_loop(count: int, on_the_loop: bool) -> None:
    threads: list[threading.Thread] = []

    def check(text: str, figures: Sequence[float], question: str) -> tuple[str, ...]:
        del text, question
        assert len(figures) == count
        threads.append(threading.current_thread())
        return ()

    provider = ScriptedProvider([calling("rows"), "There are 43."])
    await answered(make_loop(provider, figures_tool(count), check_figures=check))
    assert [thread is threading.main_thread() for thread in threads] == [on_the_loop]


async def test_figures_beyond_what_is_held_are_not_called_missing() -> None:
    def check(text: str, figures: Sequence[float], question: str) -> tuple[str, ...]:
        del text, question
        assert len(figures) == MOST_FIGURES
        return ("43",)

    provider = ScriptedProvider([calling("rows"), "There are 43."])
    loop = make_loop(provider, figures_tool(MOST_FIGURES + 1), check_figures=check)
    (note,) = (await answered(loop)).notes
    assert note.startswith("Could not be checked against all results: 43.")


class Always:
    """A router that always names the same agent."""

    async def route(self, turn: AgentTurn) -> Route:
        del turn
        return Route(agent="general", reason="always")


@pytest.mark.parametrize("answers", [["one two three"], ["", "one two three"]])
async def test_leaving_in_the_middle_of_an_answer_closes_the_model_at_once(
    answers: list[str],
) -> None:
    provider = ScriptedProvider(answers)
    delegator = Delegator(Always(), {"general": make_loop(provider)}, fallback="general")
    async with asyncio.timeout(10), closing(delegator.respond(turn_of("x"))) as events:
        await anext(event async for event in events if isinstance(event, TextDelta))
        assert provider.active == 1
    assert (provider.active, provider.closed) == (0, 1)


async def test_leaving_while_tools_run_ends_them_at_once() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(arguments: Mapping[str, Any]) -> ToolResult:
        del arguments
        begun.set()
        try:
            await asyncio.Event().wait()
            return ToolResult(content="")
        finally:
            ended.set()

    tools = FunctionTools({"quick": echo, "endless": endless})
    both = tuple(ToolCall(id=name, name=name, arguments="{}") for name in tools.functions)
    loop = make_loop(ScriptedProvider([ChatReply(tool_calls=both)]), tools)
    delegator = Delegator(Always(), {"general": loop}, fallback="general")
    async with asyncio.timeout(10), closing(delegator.respond(turn_of("x"))) as events:
        await anext(event async for event in events if isinstance(event, ToolFinished))
        assert begun.is_set()
    assert ended.is_set()
