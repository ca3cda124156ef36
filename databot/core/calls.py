"""Running the tool calls of a turn: side by side when all only read, one after another otherwise.

Keeps what the turn's answer will rest on (reports, figures), notices a model that asks for the same thing again and
again, and takes up where a worker before it died.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from databot.agents.base import AgentEvent, AgentTurn, CallNoted
from databot.core.reports import call_key, message_of, refusal, report_of, shown_arguments
from databot.core.supervisor import as_finished
from databot.tools.base import ApprovalNeeded, Effect, ToolContext, ToolResult, Toolset
from databot.types.chat import ChatMessage, ChatReply, ToolCall
from databot.types.closing import closing
from databot.types.errors import ToolError, describe, shorten
from databot.types.events import ToolFinished, ToolStarted
from databot.types.support import CallNote, CallReport

AT_ONCE = 4
MOST_FAILURES = 3
MOST_CALLS = 32
STUCK_STEPS = 2
MOST_FIGURES = 100_000
"""So many numbers of a turn's results are held for the figures check."""

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
        self.needing: tuple[ToolCall, ...] = ()
        self._notes = {
            note.call_id: note for note in turn.notes
        }  # of each call the last: its result, if there is one
        self._refused: Mapping[str, str] = {}
        self._ended: dict[str, tuple[ToolResult, CallReport]] = {}

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
        """The calls a worker before this one left without a result in the conversation, to be gone on with."""
        answered = {message.tool_call_id for message in working}
        last = next((m for m in reversed(working) if m.role == "assistant"), None)
        calls = last.tool_calls if last else ()
        return ChatReply(tool_calls=tuple(call for call in calls if call.id not in answered))

    async def run(self, calls: Sequence[ToolCall], step: int) -> AsyncIterator[AgentEvent]:
        """Run the calls of one model answer, whose results will be the step numbered `step`.

        Afterwards `messages` and `reports` tell of them in the order asked; or `needing` has the calls that a person
        must decide on first, and then nothing is told yet.
        """
        self._refused, self._ended, self.needing = self._refusals(calls), {}, ()
        useless = len(self._refused) == len(calls)
        self._useless_steps = self._useless_steps + 1 if useless else 0
        reading = all(self._tools.effect(call.name) is Effect.READ for call in calls)
        parts = [self._read(calls)] if reading else [self._change(call, step) for call in calls]
        for part in parts:
            if not self.needing:
                async with closing(part) as events:
                    async for event in events:
                        yield event
        if self.needing:
            return
        self.reports = tuple(self._ended[call.id][1] for call in calls)
        self.messages = tuple(message_of(call, self._ended[call.id][0]) for call in calls)

    async def _read(self, calls: Sequence[ToolCall]) -> AsyncIterator[AgentEvent]:
        """Calls that change nothing, side by side. Nothing is noted of them: they may be made again."""
        for call in calls:
            yield self._started(call)
        timed = [self._timed(call) for call in calls]
        async with closing(as_finished(timed, at_once=AT_ONCE)) as finished:
            async for position, outcome in finished:
                if outcome is not None:
                    yield self._end(calls[position], *outcome)

    async def _change(self, call: ToolCall, step: int) -> AsyncIterator[AgentEvent]:
        """A call that may change something: noted before it is made and after, and never made twice by us."""
        yield self._started(call)
        note = self._notes.get(call.id)
        if note is not None and note.result is not None and note.report is not None:
            yield self._end_as_noted(call, note.result, note.report)
            return
        effect = self._tools.effect(call.name)
        if call.id in self._refused or effect is Effect.READ:
            outcome = await self._timed(call)
        elif note is not None and effect is Effect.PLAIN:
            outcome = refusal(UNKNOWN_OUTCOME), 0.0
        else:
            outcome = await self._impediment(call)
            if outcome is None and not self.needing:
                yield CallNoted(note=CallNote(step=step, call_id=call.id))
                outcome = await self._timed(call)
        if outcome is None:  # a person is needed first
            return
        finished = self._end(call, *outcome)
        if effect is not Effect.READ:
            result, report = self._ended[call.id]
            told = CallNote(
                step=step, call_id=call.id, result=message_of(call, result), report=report
            )
            yield CallNoted(note=told)
        yield finished

    async def _impediment(self, call: ToolCall) -> tuple[ToolResult, float] | None:
        """Why the call is not made, found out before it is noted that it will be."""
        try:
            await self._tools.permit(call, self._context(call))
        except ApprovalNeeded:
            self.needing = (*self.needing, call)
        except ToolError as error:
            self._note(call, ok=False, figures=())
            return refusal(describe(error)), 0.0
        return None

    def account(self) -> str:
        """What is said when the model gives no words of its own."""
        if not self._names:
            return "The model gave no answer."
        ran = ", ".join(f"{name} ({n} times)" for name, n in Counter(self._names).items())
        return (
            "I stopped before I had a complete answer. "
            f"These tools ran, and their results are attached as evidence where they gave data: {ran}."
        )

    def _refusals(self, calls: Sequence[ToolCall]) -> Mapping[str, str]:
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

    async def _timed(self, call: ToolCall) -> tuple[ToolResult, float] | None:
        """What the call gave and how long it took, in milliseconds; `None` when a person is needed first."""
        begun = time.perf_counter()
        try:
            result = await self._result(call)
        except ApprovalNeeded:
            self.needing = (*self.needing, call)
            return None
        return result, (time.perf_counter() - begun) * 1000

    async def _result(self, call: ToolCall) -> ToolResult:
        if call.id in self._refused:
            return refusal(self._refused[call.id])
        try:
            result = await self._tools.call(call, self._context(call))
        except ToolError as error:
            result = refusal(describe(error))
        self._note(call, ok=result.ok, figures=result.figures)
        return result

    def _context(self, call: ToolCall) -> ToolContext:
        return ToolContext(
            conversation=self._turn.conversation,
            principal=self._turn.message.principal,
            turn_id=self._turn.id,
            call_id=call.id,
        )

    def _end(self, call: ToolCall, result: ToolResult, ms: float) -> ToolFinished:
        """Keep what the call gave, and tell."""
        report = report_of(call, result, ms)
        self._ended[call.id] = result, report
        return self._finished(call, report)

    def _end_as_noted(
        self, call: ToolCall, message: ChatMessage, report: CallReport
    ) -> ToolFinished:
        """The same for a call that a worker before this one had made."""
        result = ToolResult(content=message.content, ok=report.ok, summary=report.summary)
        self._note(call, ok=report.ok, figures=report.figures, cut=report.figures_cut)
        self._ended[call.id] = result, report
        return self._finished(call, report)

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
