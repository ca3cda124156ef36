"""The agent loop, driven by a scripted model."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from databot.agents.base import (
    AgentEvent,
    AgentTurn,
    Answered,
    ApprovalsNeeded,
    CallNoted,
    StepRecorded,
)
from databot.core.loop import AgentLoop
from databot.rag.base import Enrichment
from databot.testing.clock import START
from databot.testing.scripted import ScriptedProvider, calling
from databot.tools.base import ApprovalNeeded, Effect, ToolResult
from databot.tools.numbers import unsupported_figures
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk, ToolCall, Usage
from databot.types.closing import closing
from databot.types.errors import (
    ContextOverflow,
    ProviderBadResponse,
    ProviderUnreachable,
    TooLarge,
    ToolNotAllowed,
)
from databot.types.events import TextDelta, ToolFinished
from databot.types.evidence import Citation
from databot.types.messages import Turn
from databot.types.support import CallNote, CallReport
from tests.core.house import FunctionTools, echo, make_loop, said


def turn_of(text: str, **rest: Any) -> AgentTurn:  # noqa: ANN401 - fields of AgentTurn
    return AgentTurn(turn=Turn(id="turn_1", message=said(text), started_at=START), **rest)


async def respond(loop: AgentLoop, turn: AgentTurn) -> list[AgentEvent]:
    async with asyncio.timeout(10):
        return [event async for event in loop.respond(turn)]


def answer_of(events: Sequence[AgentEvent]) -> Answered:
    last = events[-1]
    assert isinstance(last, Answered)
    assert sum(isinstance(event, Answered) for event in events) == 1
    return last


async def test_the_answer_is_the_fold_of_its_stream() -> None:
    events = await respond(make_loop(ScriptedProvider(["Hello there, Ann."])), turn_of("hi"))
    streamed = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert answer_of(events).text == streamed == "Hello there, Ann."
    assert answer_of(events).finish_reason == "completed"


async def test_a_tool_result_is_given_back_to_the_model() -> None:
    provider = ScriptedProvider([calling("echo", '{"text": "42"}'), "It is 42."])
    events = await respond(make_loop(provider), turn_of("what?"))
    assert answer_of(events).text == "It is 42."
    last = provider.requests[1].messages
    assert [m.role for m in last[-2:]] == ["assistant", "tool"]
    assert last[-1].content == "42"
    assert last[-1].tool_call_id == last[-2].tool_calls[0].id


async def test_a_model_answer_is_recorded_before_its_tools_start() -> None:
    tools = FunctionTools({"echo": echo})
    loop = make_loop(ScriptedProvider([calling("echo"), "done"]), tools)
    async for event in loop.respond(turn_of("x")):
        if isinstance(event, StepRecorded) and event.messages[0].tool_calls:
            assert tools.calls == []
            break
    else:
        pytest.fail("the step was never recorded")


async def test_text_before_a_tool_call_stays_part_of_the_reply() -> None:
    provider = ScriptedProvider([calling("echo", text="Let me look."), "Found it."])
    events = await respond(make_loop(provider), turn_of("x"))
    assert answer_of(events).text == "Let me look.\n\nFound it."


async def test_reading_tools_run_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def meet(arguments: Mapping[str, Any]) -> ToolResult:
        await both.wait()
        return ToolResult(content=str(arguments["n"]))

    calls = tuple(ToolCall(id=f"c{n}", name="meet", arguments=f'{{"n": {n}}}') for n in (1, 2))
    provider = ScriptedProvider([ChatReply(tool_calls=calls, finish_reason="tool_calls"), "ok"])
    await respond(make_loop(provider, FunctionTools({"meet": meet})), turn_of("x"))
    assert [m.content for m in provider.requests[1].messages[-2:]] == ["1", "2"]


async def test_tools_that_change_something_run_one_after_another() -> None:
    running = 0
    most = 0

    async def write(arguments: Mapping[str, Any]) -> ToolResult:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return ToolResult(content=str(arguments["n"]))

    calls = tuple(ToolCall(id=f"c{n}", name="write", arguments=f'{{"n": {n}}}') for n in range(3))
    provider = ScriptedProvider([ChatReply(tool_calls=calls, finish_reason="tool_calls"), "ok"])
    tools = FunctionTools({"write": write}, {"write": Effect.PLAIN})
    await respond(make_loop(provider, tools), turn_of("x"))
    assert most == 1
    assert [m.content for m in provider.requests[1].messages[-3:]] == ["0", "1", "2"]


async def test_an_invented_tool_becomes_an_error_the_model_can_act_on() -> None:
    provider = ScriptedProvider([calling("drop_everything"), "Sorry."])
    events = await respond(make_loop(provider), turn_of("x"))
    told = provider.requests[1].messages[-1].content
    assert "no tool 'drop_everything'" in told
    assert "echo" in told
    finished = [event for event in events if isinstance(event, ToolFinished)]
    assert [event.ok for event in finished] == [False]


async def test_the_same_call_is_not_run_twice_in_a_turn() -> None:
    tools = FunctionTools({"echo": echo})
    provider = ScriptedProvider(
        [calling("echo", '{"text":"a"}'), calling("echo", '{ "text": "a" }'), "a"]
    )
    await respond(make_loop(provider, tools), turn_of("x"))
    assert len(tools.calls) == 1
    assert "already made" in provider.requests[2].messages[-1].content


async def test_equal_calls_in_one_answer_run_once() -> None:
    tools = FunctionTools({"echo": echo}, {"echo": Effect.PLAIN})
    calls = (ToolCall(id="c", name="echo", arguments="{}"),) * 2
    provider = ScriptedProvider([ChatReply(tool_calls=calls, finish_reason="tool_calls"), "ok"])
    await respond(make_loop(provider, tools), turn_of("x"))
    assert len(tools.calls) == 1
    ids = [m.tool_call_id for m in provider.requests[1].messages[-2:]]
    assert len(set(ids)) == 2


async def test_a_model_that_repeats_itself_is_made_to_answer() -> None:
    again = calling("echo", '{"text":"a"}')
    provider = ScriptedProvider([again, again, again, "I give up: a."])
    answer = answer_of(await respond(make_loop(provider), turn_of("x")))
    assert answer.finish_reason == "duplicate_tool_calls_detected"
    assert answer.text == "I give up: a."


async def test_the_iteration_limit_ends_in_an_answer() -> None:
    def more(request: ChatRequest) -> ChatReply | str:
        if "No further tool calls" in request.messages[-1].content:
            return "This is what I know."
        return calling("echo", f'{{"text": "{len(request.messages)}"}}')

    provider = ScriptedProvider(more)
    answer = answer_of(await respond(make_loop(provider, max_iterations=3), turn_of("x")))
    assert answer.finish_reason == "max_iterations_reached"
    assert answer.text == "This is what I know."
    assert len(provider.requests) == 4


async def test_a_model_that_will_not_stop_still_leaves_an_answer() -> None:
    numbers = iter(range(100))
    provider = ScriptedProvider(lambda _: calling("echo", f'{{"text": "{next(numbers)}"}}'))
    answer = answer_of(await respond(make_loop(provider, max_iterations=2), turn_of("x")))
    assert answer.finish_reason == "max_iterations_reached"
    assert "echo (2 times)" in answer.text


async def test_an_empty_answer_is_asked_about_once() -> None:
    provider = ScriptedProvider(["", "Here."])
    assert answer_of(await respond(make_loop(provider), turn_of("x"))).text == "Here."
    with pytest.raises(ProviderBadResponse, match="twice"):
        await respond(make_loop(ScriptedProvider(["", ""])), turn_of("x"))


async def test_an_answer_cut_by_the_output_limit_says_so() -> None:
    provider = ScriptedProvider([ChatReply(text="one two", finish_reason="length")])
    assert answer_of(await respond(make_loop(provider), turn_of("x"))).finish_reason == "truncated"


async def test_tokens_and_money_of_all_calls_are_added_up() -> None:
    usage = Usage(input_tokens=10, output_tokens=2, cost_usd=0.5)
    first = ChatReply(
        tool_calls=(ToolCall(id="c", name="echo", arguments="{}"),),
        finish_reason="tool_calls",
        usage=usage,
    )
    provider = ScriptedProvider([first, ChatReply(text="ok", usage=usage)])
    answer = answer_of(await respond(make_loop(provider), turn_of("x")))
    assert answer.usage == Usage(input_tokens=20, output_tokens=4, cost_usd=1.0)


async def test_an_overflowing_prompt_is_tried_once_more_at_half_the_size() -> None:
    past = [
        ChatMessage(role=role, content="word " * 400)
        for _ in range(10)
        for role in ("user", "assistant")
    ]

    class Past:
        async def recall(self, turn: Turn) -> list[ChatMessage]:
            return past

    provider = ScriptedProvider([ContextOverflow("too long"), "ok"])
    await respond(make_loop(provider, memory=Past()), turn_of("x"))
    sizes = [sum(len(m.content) for m in request.messages) for request in provider.requests]
    assert sizes[1] < sizes[0] * 0.7


async def test_a_failing_model_fails_the_turn_with_its_own_error() -> None:
    loop = make_loop(ScriptedProvider([ProviderUnreachable("no route")]))
    with pytest.raises(ProviderUnreachable):
        await respond(loop, turn_of("x"))


async def test_cancelling_closes_the_model_call() -> None:
    reached = asyncio.Event()

    async def hold() -> None:
        reached.set()
        await asyncio.Event().wait()

    provider = ScriptedProvider(["never"], pause=hold)
    task = asyncio.ensure_future(respond(make_loop(provider), turn_of("x")))
    await asyncio.wait_for(reached.wait(), 10)
    assert provider.active == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.active == 0


async def test_retrieval_reaches_the_prompt_and_the_answer() -> None:
    citation = Citation(marker="[1]", title="Terms", source="t.md", quote="net of tax", score=0.9)

    class Enricher:
        async def enrich_prompt(self, turn: Turn) -> Enrichment:
            del turn
            return Enrichment(text="REFERENCE", citations=(citation,), notes=("lexical only",))

    provider = ScriptedProvider(["It is so [1].", "ok"])
    loop = make_loop(provider, enricher=Enricher())
    answer = answer_of(await respond(loop, turn_of("x")))
    assert "REFERENCE" in provider.requests[0].messages[0].content
    assert answer.citations == (citation,)
    assert answer.notes == ("lexical only",)
    uncited = answer_of(await respond(loop, turn_of("x")))
    assert uncited.citations == ()


async def test_figures_without_support_are_marked() -> None:
    async def rows(arguments: Mapping[str, Any]) -> ToolResult:
        del arguments
        return ToolResult(content="[[41]]", figures=(41.0,))

    seen: list[tuple[str, list[float]]] = []

    def check(text: str, figures: Sequence[float], question: str) -> tuple[str, ...]:
        assert "how many" in question
        seen.append((text, list(figures)))
        return ("43",)

    provider = ScriptedProvider([calling("rows"), "There are 43."])
    loop = make_loop(provider, FunctionTools({"rows": rows}), check_figures=check)
    answer = answer_of(await respond(loop, turn_of("how many?")))
    assert seen == [("There are 43.", [41.0])]
    assert "43" in answer.notes[0]


async def test_what_a_tool_told_without_figures_may_be_quoted_and_nothing_else() -> None:
    async def recall(arguments: Mapping[str, Any]) -> ToolResult:
        del arguments
        return ToolResult(content='{"facts":{"budget":"5000 EUR"}}')

    for text, marks in (("Your budget is 5,000.", 0), ("Your budget is 5,001.", 1)):
        provider = ScriptedProvider([calling("recall"), text])
        tools = FunctionTools({"recall": recall})
        loop = make_loop(provider, tools, check_figures=unsupported_figures)
        answer = answer_of(await respond(loop, turn_of("what is my budget?")))
        assert len(answer.notes) == marks


async def test_a_message_over_the_budget_is_refused_before_the_model_is_called() -> None:
    provider = ScriptedProvider([])
    with pytest.raises(TooLarge):
        await respond(make_loop(provider, context_tokens=500), turn_of("x" * 10_000))
    assert provider.requests == []


async def test_a_resumed_turn_goes_on_after_its_last_step() -> None:
    call = ToolCall(id="c1", name="echo", arguments='{"text": "7"}')
    done = [
        ChatMessage(role="assistant", content="", tool_calls=(call,)),
        ChatMessage(role="tool", content="7", tool_call_id="c1", name="echo"),
    ]
    tools = FunctionTools({"echo": echo})
    provider = ScriptedProvider(["Seven."])
    events = await respond(make_loop(provider, tools), turn_of("x", done=done, steps_done=2))
    assert tools.calls == []
    assert answer_of(events).text == "Seven."
    assert [e.step for e in events if isinstance(e, StepRecorded)] == [3]


CALL = ToolCall(id="c1", name="echo", arguments='{"text": "7"}')
INTENT = CallNote(step=2, call_id="c1")
RESULT = CallNote(
    step=2,
    call_id="c1",
    result=ChatMessage(role="tool", content="as it was", tool_call_id="c1", name="echo"),
    report=CallReport(call_id="c1", ok=True, ms=1),
)


@pytest.mark.parametrize(
    ("effect", "notes", "runs", "told"),
    [
        (Effect.READ, [], 1, "7"),
        (Effect.IDEMPOTENT, [], 1, "7"),
        (Effect.IDEMPOTENT, [INTENT], 1, "7"),
        (Effect.IDEMPOTENT, [INTENT, RESULT], 0, "as it was"),
        (Effect.PLAIN, [], 1, "7"),
        (Effect.PLAIN, [INTENT], 0, "outcome is unknown"),
        (Effect.PLAIN, [INTENT, RESULT], 0, "as it was"),
    ],
)
async def test_a_call_interrupted_by_a_crash_is_repeated_only_where_that_is_safe(
    effect: Effect, notes: list[CallNote], runs: int, told: str
) -> None:
    done = [ChatMessage(role="assistant", content="", tool_calls=(CALL,))]
    tools = FunctionTools({"echo": echo}, {"echo": effect})
    provider = ScriptedProvider(["ok"])
    turn = turn_of("x", done=done, steps_done=1, notes=notes)
    await respond(make_loop(provider, tools), turn)
    assert len(tools.calls) == runs
    answer = provider.requests[0].messages[-1]
    assert answer.role == "tool"
    assert told in answer.content


@pytest.mark.parametrize("effect", [Effect.PLAIN, Effect.IDEMPOTENT])
async def test_a_call_that_changes_something_is_noted_before_it_is_made_and_after(
    effect: Effect,
) -> None:
    tools = FunctionTools({"echo": echo}, {"echo": effect})
    provider = ScriptedProvider([ChatReply(tool_calls=(CALL,)), "ok"])
    made: list[tuple[bool, int]] = []
    async with closing(make_loop(provider, tools).respond(turn_of("x"))) as events:
        async for event in events:
            if isinstance(event, CallNoted):
                assert (event.note.step, event.note.call_id) == (2, "c1")
                made.append((event.note.result is not None, len(tools.calls)))
    assert made == [(False, 0), (True, 1)]


async def test_a_refused_call_leaves_no_intent() -> None:
    tools = FunctionTools({"echo": echo}, {"echo": Effect.PLAIN})
    tools.forbidden = ToolNotAllowed("echo")
    provider = ScriptedProvider([ChatReply(tool_calls=(CALL,)), "ok"])
    events = await respond(make_loop(provider, tools), turn_of("x"))
    assert [e.note.result is not None for e in events if isinstance(e, CallNoted)] == [True]
    assert tools.calls == []


@pytest.mark.parametrize("effect", list(Effect))
async def test_a_call_that_needs_a_person_ends_the_work_for_now(effect: Effect) -> None:
    tools = FunctionTools({"echo": echo}, {"echo": effect})
    tools.forbidden = ApprovalNeeded("ask ann")
    provider = ScriptedProvider([ChatReply(tool_calls=(CALL,)), "never said"])
    events = await respond(make_loop(provider, tools), turn_of("x"))
    assert events[-1] == ApprovalsNeeded(calls=(CALL,))
    assert not [e for e in events if isinstance(e, CallNoted | ToolFinished)]
    assert len(provider.requests) == 1
    tools.forbidden = None
    done = [ChatMessage(role="assistant", content="", tool_calls=(CALL,))]
    later = await respond(
        make_loop(ScriptedProvider(["ok"]), tools), turn_of("x", done=done, steps_done=1)
    )
    assert answer_of(later).text == "ok"
    assert len(tools.calls) == 1


async def test_streamed_pieces_arrive_before_the_answer_is_complete() -> None:
    provider = ScriptedProvider([[TextChunk("a"), TextChunk("b"), ChatReply(text="ab")]])
    events = await respond(make_loop(provider), turn_of("x"))
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["a", "b"]
