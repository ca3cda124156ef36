"""Running the tool calls of a turn: side by side when all only read, one after another otherwise.

Keeps what the turn's answer will rest on (reports, figures), notices a model that asks for the same thing again and
again, and takes up where a worker before it died.
"""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import orjson

from databot.agents.base import AgentEvent, AgentTurn
from databot.core.supervisor import as_finished
from databot.tools.base import Effect, ToolContext, ToolResult, Toolset
from databot.types.chat import ChatMessage, ChatReply, ToolCall
from databot.types.closing import closing
from databot.types.errors import ToolError, describe, shorten
from databot.types.events import ToolFinished, ToolStarted
from databot.types.support import CallReport

AT_ONCE = 4
MOST_FAILURES = 3
MOST_CALLS = 32
ARGUMENT_CHARACTERS = 4_000
STUCK_STEPS = 2
MOST_FIGURES = 100_000
"""So many numbers of a turn's results are held for the figures check, and so many of each result outlive a crash:"""
FIGURES_KEPT = 1_000

REPEATED = "this exact call was already made in this turn and its result is above: use it, or change the arguments"
TOO_MANY = (
    f"this call was not made: at most {MOST_CALLS} calls are made in one answer. "
    "Ask for it again in your next one if it is still needed"
)
UNKNOWN_OUTCOME = (
    "databot was restarted while this call ran and its outcome is unknown: it was not repeated. "
    "Check what happened before trying again, and tell the person"
)


class CallRunner:
    """Runs the tool calls of one turn."""

    def __init__(self, tools: Toolset, turn: AgentTurn) -> None:
        self._tools = tools
        self._begun = turn
        self._turn = turn.turn
        self._succeeded: Counter[tuple[str, str]] = Counter()
        self._failed: Counter[tuple[str, str]] = Counter()
        self._useless_steps = 0
        self._names: list[str] = []
        self.figures: list[float] = []
        self.figures_cut = False
        self.messages: tuple[ChatMessage, ...] = ()
        self.reports: tuple[CallReport, ...] = ()
        self.cut_short = False
        self._interrupted: set[str] = set()

    @property
    def stuck(self) -> bool:
        """The model has asked for nothing new in two steps on end."""
        return self._useless_steps >= STUCK_STEPS

    def told_again(self) -> Iterator[AgentEvent]:
        """The calls a worker before this one had finished, as events: the reply is made of them, whoever made them."""
        reports = {
            report.call_id: report for support in self._begun.kept for report in support.calls
        }
        asked = {call.id: call for message in self._begun.done for call in message.tool_calls}
        for message in self._begun.done:
            call = asked.get(message.tool_call_id or "")
            if call is None:
                continue
            report = reports.get(call.id)
            if report is None:  # kept by a databot that kept no reports
                self.figures_cut = True
                continue
            self._note(call, ok=report.ok, figures=report.figures, cut=report.figures_cut)
            yield self._started(call)
            yield self._finished(call, report)

    def interrupted(self, working: Sequence[ChatMessage]) -> ChatReply:
        """The calls a dead worker left without a result, to be run again where that is safe."""
        answered = {message.tool_call_id for message in working}
        last = next((m for m in reversed(working) if m.role == "assistant"), None)
        calls = last.tool_calls if last else ()
        left = tuple(call for call in calls if call.id not in answered)
        self._interrupted = {call.id for call in left}
        return ChatReply(tool_calls=left)

    async def run(self, calls: Sequence[ToolCall]) -> AsyncIterator[AgentEvent]:
        """Run the calls of one model answer; afterwards `messages` and `reports` tell of them in the order asked."""
        results: dict[int, ToolResult] = {}
        reports: dict[int, CallReport] = {}
        refused = self._refused(calls)
        self._useless_steps = 0 if len(refused) < len(calls) else self._useless_steps + 1
        reading = all(self._tools.effect(call.name) is Effect.READ for call in calls)
        for group in [calls] if reading else [[call] for call in calls]:
            offset = len(results)
            for call in group:
                yield self._started(call)
            timed = [self._timed(call, refused) for call in group]
            async with closing(as_finished(timed, at_once=AT_ONCE)) as finished:
                async for position, (result, ms) in finished:
                    report = report_of(group[position], result, ms)
                    results[offset + position] = result
                    reports[offset + position] = report
                    yield self._finished(group[position], report)
        self.reports = tuple(reports[n] for n in range(len(calls)))
        self.messages = tuple(
            ChatMessage(
                role="tool", content=results[n].content, tool_call_id=call.id, name=call.name
            )
            for n, call in enumerate(calls)
        )

    def account(self) -> str:
        """What is said when the model gives no words of its own."""
        if not self._names:
            return "The model gave no answer."
        ran = ", ".join(f"{name} ({n} times)" for name, n in Counter(self._names).items())
        return (
            "I stopped before I had a complete answer. "
            f"These tools ran, and their results are attached as evidence where they gave data: {ran}."
        )

    def _refused(self, calls: Sequence[ToolCall]) -> Mapping[str, str]:
        """Why calls are not made, by their ids; of equal ones in one answer the first is made."""
        refused: dict[str, str] = {}
        asked: set[tuple[str, str]] = set()
        for number, call in enumerate(calls):
            key = call_key(call)
            if key in asked or self._succeeded[key] or self._failed[key] >= MOST_FAILURES:
                refused[call.id] = REPEATED
            elif number >= MOST_CALLS:
                refused[call.id] = TOO_MANY
            else:
                asked.add(key)
        return refused

    def _started(self, call: ToolCall) -> ToolStarted:
        self._names.append(call.name)
        return ToolStarted(
            turn_id=self._turn.id,
            call_id=call.id,
            tool=shorten(call.name),
            args=shown_arguments(call.arguments),
        )

    async def _timed(self, call: ToolCall, refused: Mapping[str, str]) -> tuple[ToolResult, float]:
        begun = time.perf_counter()
        result = await self._result(call, refused)
        return result, (time.perf_counter() - begun) * 1000

    async def _result(self, call: ToolCall, refused: Mapping[str, str]) -> ToolResult:
        if call.id in refused:
            return refusal(refused[call.id])
        if call.id in self._interrupted and self._tools.effect(call.name) is Effect.PLAIN:
            return refusal(UNKNOWN_OUTCOME)
        context = ToolContext(
            conversation=self._turn.conversation,
            principal=self._turn.message.principal,
            turn_id=self._turn.id,
            call_id=call.id,
        )
        try:
            result = await self._tools.call(call, context)
        except ToolError as error:
            result = refusal(describe(error))
        self._note(call, ok=result.ok, figures=result.figures)
        return result

    def _note(
        self, call: ToolCall, *, ok: bool, figures: Sequence[float], cut: bool = False
    ) -> None:
        """Remember that a call was made, and the numbers it gave, as many as there is room for."""
        (self._succeeded if ok else self._failed)[call_key(call)] += 1
        room = MOST_FIGURES - len(self.figures)
        self.figures.extend(figures[:room])
        self.figures_cut = self.figures_cut or cut or len(figures) > room

    def _finished(self, call: ToolCall, report: CallReport) -> ToolFinished:
        return ToolFinished(
            turn_id=self._turn.id,
            call_id=call.id,
            tool=shorten(call.name),
            ok=report.ok,
            ms=report.ms,
            summary=report.summary,
            evidence=report.evidence,
            artifacts=report.artifacts,
        )


def report_of(call: ToolCall, result: ToolResult, ms: float) -> CallReport:
    """What is kept of a call besides the text for the model."""
    return CallReport(
        call_id=call.id,
        ok=result.ok,
        ms=round(ms, 2),
        summary=result.summary,
        evidence=result.evidence,
        artifacts=result.artifacts,
        figures=result.figures[:FIGURES_KEPT],
        figures_cut=len(result.figures) > FIGURES_KEPT,
    )


def refusal(reason: str) -> ToolResult:
    """A result that tells the model why there is none."""
    return ToolResult(content=f"error: {reason}", ok=False, summary=shorten(reason, 200))


def with_own_ids(calls: Sequence[ToolCall], working: Sequence[ChatMessage]) -> tuple[ToolCall, ...]:
    """The calls, each with an id no other call of this turn has: models repeat ids, and results are matched by id."""
    taken = {call.id for message in working for call in message.tool_calls} | {""}
    own: list[ToolCall] = []
    for call in calls:
        free = call.id
        while free in taken:
            free = f"{call.id or 'call'}_{len(taken)}"
        taken.add(free)
        own.append(call if free == call.id else replace(call, id=free))
    return tuple(own)


def call_key(call: ToolCall) -> tuple[str, str]:
    """Equal for calls that ask for the same thing, however their JSON is spaced or ordered."""
    try:
        return call.name, json.dumps(json.loads(call.arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments


def shown_arguments(arguments: str) -> dict[str, Any]:
    """The arguments for people to see; what is no JSON object is shown as text.

    Read by orjson, which takes only what it can write again: no NaN, no half characters.
    """
    try:
        parsed: object = orjson.loads(arguments or "{}")
    except ValueError:
        parsed = arguments
    if not isinstance(parsed, dict):
        return {"": shorten(str(parsed), ARGUMENT_CHARACTERS)}
    items = cast("dict[str, object]", parsed).items()
    return {
        key: shorten(value, ARGUMENT_CHARACTERS) if isinstance(value, str) else value
        for key, value in items
    }
