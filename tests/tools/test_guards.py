"""Guards limit the toolset they wrap, at the call and not only in the listing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from databot.tools.base import Decision, Effect, ToolContext, ToolResult, Toolset
from databot.tools.guards import Allowed, ApprovalRequired, Bounded, Timed
from databot.types.chat import ToolCall, ToolSpec
from databot.types.errors import (
    ConnectorError,
    ToolError,
    ToolNotAllowed,
    ToolNotFound,
    ToolTimeout,
)
from tests.tools.kit import CONTEXT, tool_call


class RecordingToolset:
    """Tools that do what they are told and keep what was called."""

    def __init__(
        self, *names: str, work: Callable[[], Awaitable[str]] | None = None, content: str = "done"
    ) -> None:
        self.calls: list[str] = []
        self._names = names
        self._work = work
        self._content = content

    def specs(self) -> Sequence[ToolSpec]:
        return [ToolSpec(name=name, description="", parameters={}) for name in self._names]

    def effect(self, name: str) -> Effect:
        return Effect.READ if name in self._names else Effect.PLAIN

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        del call, context

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        del context
        self.calls.append(call.name)
        return ToolResult(content=await self._work() if self._work else self._content)


async def test_a_tool_outside_the_allowance_is_refused_before_it_runs() -> None:
    inner = RecordingToolset("query", "shell")
    with pytest.raises(ToolNotAllowed, match="'shell'"):
        await Allowed(inner, frozenset({"query"})).call(tool_call("shell"), CONTEXT)
    assert inner.calls == []


async def test_an_allowance_narrows_the_listing_and_the_effects() -> None:
    guarded = Allowed(RecordingToolset("query", "shell"), frozenset({"query", "absent"}))
    assert [spec.name for spec in guarded.specs()] == ["query"]
    assert (guarded.effect("query"), guarded.effect("shell")) == (Effect.READ, Effect.PLAIN)
    assert (await guarded.call(tool_call("query"), CONTEXT)).content == "done"


async def test_a_tool_that_does_not_exist_is_told_with_the_allowed_ones_only() -> None:
    guarded = Allowed(RecordingToolset("query", "shell"), frozenset({"query"}))
    with pytest.raises(ToolNotFound) as caught:
        await guarded.call(tool_call("qery"), CONTEXT)
    assert "query" in caught.value.message
    assert "shell" not in caught.value.message


async def test_a_call_is_stopped_at_its_limit_and_the_work_inside_is_cancelled() -> None:
    stopped = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    guarded = Timed(RecordingToolset("query", work=work), {"query": 0.01})
    with pytest.raises(ToolTimeout, match=r"'query' was stopped after 0\.01 s"):
        await guarded.call(tool_call("query"), CONTEXT)
    assert stopped.is_set()


async def test_a_time_out_the_data_system_reports_in_its_own_words_is_still_a_time_out() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ToolError("the server ended the query") from None
        return "never"

    guarded = Timed(RecordingToolset("query", work=work), {"query": 0.01})
    with pytest.raises(ToolTimeout):
        await guarded.call(tool_call("query"), CONTEXT)


async def test_a_failure_within_the_limit_stays_what_it_is() -> None:
    async def work() -> str:
        raise ToolError("no such column")

    with pytest.raises(ToolError, match="no such column") as caught:
        await Timed(RecordingToolset("query", work=work), {}).call(tool_call("query"), CONTEXT)
    assert not isinstance(caught.value, ToolTimeout)


async def test_a_cancellation_from_outside_passes_through() -> None:
    started = asyncio.Event()

    async def work() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    guarded = Timed(RecordingToolset("query", work=work), {})
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(guarded.call(tool_call("query"), CONTEXT))
        await started.wait()
        task.cancel()
    assert task.cancelled()


async def test_a_tool_that_needs_approval_is_refused_where_nobody_can_be_asked() -> None:
    inner = RecordingToolset("query", "deploy")
    guarded = ApprovalRequired(inner, frozenset({"deploy"}))
    with pytest.raises(ToolNotAllowed, match="needs a person's approval"):
        await guarded.call(tool_call("deploy"), CONTEXT)
    assert inner.calls == []
    await guarded.call(tool_call("query"), CONTEXT)
    assert inner.calls == ["query"]


class Approver:
    """Decides as told, or fails."""

    def __init__(self, answer: Decision | Exception) -> None:
        self.asked: list[ToolCall] = []
        self._answer = answer

    async def decide(self, call: ToolCall, context: ToolContext) -> Decision:
        del context
        self.asked.append(call)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def test_an_approved_call_runs_and_the_person_saw_exactly_that_call() -> None:
    inner = RecordingToolset("deploy")
    approver = Approver(Decision(approved=True))
    call = tool_call("deploy", '{"to": "production"}')
    await ApprovalRequired(inner, frozenset({"deploy"}), approver).call(call, CONTEXT)
    assert approver.asked == [call]
    assert inner.calls == ["deploy"]


@pytest.mark.parametrize(
    "answer",
    [
        Decision(approved=False, reason="not today"),
        RuntimeError("the approver is broken"),
        ConnectorError("no connection"),
    ],
)
async def test_without_a_yes_nothing_runs(answer: Decision | Exception) -> None:
    inner = RecordingToolset("deploy")
    guarded = ApprovalRequired(inner, frozenset({"deploy"}), Approver(answer))
    with pytest.raises(ToolNotAllowed):
        await guarded.call(tool_call("deploy"), CONTEXT)
    assert inner.calls == []


async def test_a_long_result_is_cut_with_a_notice_and_a_short_one_is_left_alone() -> None:
    long = await Bounded(RecordingToolset("query", content="x" * 5_000), 1_000).call(
        tool_call("query"), CONTEXT
    )
    assert len(long.content) == 1_000
    assert "it has 5,000 characters" in long.content
    short = await Bounded(RecordingToolset("query", content="x" * 1_000), 1_000).call(
        tool_call("query"), CONTEXT
    )
    assert short.content == "x" * 1_000


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: Timed(inner, {}),
        lambda inner: ApprovalRequired(inner, frozenset()),
        Bounded,
        lambda inner: Allowed(inner, frozenset({"query"})),
    ],
)
def test_every_guard_is_a_toolset_that_lists_what_it_wraps(
    wrap: Callable[[Toolset], Toolset],
) -> None:
    guarded = wrap(RecordingToolset("query"))
    assert [spec.name for spec in guarded.specs()] == ["query"]
    assert guarded.effect("query") is Effect.READ
    assert guarded.effect("absent") is Effect.PLAIN
