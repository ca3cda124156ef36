"""The agent loop: model and tools take turns until there is an answer.

There is one loop and it streams; a whole answer is the fold of its stream. It knows no channel, no bus and no store:
whoever drives it keeps the steps it yields, and has kept a model's answer before any tool of that answer starts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from databot.agents.base import AgentEvent, AgentTurn, Answered, ApprovalsNeeded, StepRecorded
from databot.core.calls import CallRunner
from databot.core.citing import cited
from databot.core.context import ContextBuilder, Persona, Prompt
from databot.core.reports import with_own_ids
from databot.core.window import spec_tokens
from databot.providers.base import LLMProvider
from databot.tools.base import Toolset
from databot.types.chat import ChatChunk, ChatMessage, ChatReply, ChatRequest, TextChunk
from databot.types.closing import closing
from databot.types.errors import ContextOverflow, ProviderBadResponse
from databot.types.events import TextDelta
from databot.types.evidence import Citation
from databot.types.support import CallReport, StepSupport

FiguresCheck = Callable[[str, Sequence[float], str], Sequence[str]]
"""Which figures of a text (1st) no number of the results (2nd) supports, given the question (3rd)."""

INLINE_CHECK_CHARACTERS, INLINE_CHECK_FIGURES = 10_000, 2_000
"""The figures check takes a microsecond a character or figure: where there are more, it runs off the event loop."""
WRAP_UP = (
    "No further tool calls are possible in this turn. Answer now with what the tool results above show, "
    "and say plainly what is missing."
)
NUDGE = "Your last answer was empty. Answer the question, or say why you cannot."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """Bounds of a turn and of each model call."""

    model: str
    max_iterations: int = 20
    max_output_tokens: int = 2048
    temperature: float = 0.0
    timeout_s: float = 60.0


class TurnRun:
    """One turn's state inside the loop."""

    def __init__(self, agent: str, turn: AgentTurn, prompt: Prompt) -> None:
        self.agent = agent
        self.turn = turn
        self.prompt = prompt
        self.working = list(turn.done)
        self.step = turn.steps_done
        self.usage = turn.used_before
        self.text = "\n\n".join(m.content for m in turn.done if m.role == "assistant" and m.content)
        self.reply = ChatReply()
        self.nudged = False

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages the reply may cite: those of the prompt, and what the words kept from before a crash still cite."""
        now = self.prompt.enrichment.citations
        taken = {citation.marker for citation in now}
        before = [citation for support in self.turn.kept for citation in support.citations]
        return (*now, *{c.marker: c for c in before if c.marker not in taken}.values())

    def record(self, *messages: ChatMessage, calls: tuple[CallReport, ...] = ()) -> StepRecorded:
        """Add messages to the conversation as its next step; `calls` are the reports of its tool calls."""
        self.working.extend(messages)
        self.step += 1
        wordy = messages[0].role == "assistant" and messages[0].content
        support = StepSupport(
            agent=self.agent,
            usage=self.usage,
            citations=self.prompt.enrichment.citations if wordy else (),
            calls=calls,
        )
        return StepRecorded(step=self.step, messages=messages, support=support)


class AgentLoop:
    """Answers turns with one model and one set of tools."""

    def __init__(
        self,
        name: str,
        provider: LLMProvider,
        tools: Toolset,
        context: ContextBuilder,
        *,
        options: LoopOptions,
        persona: Persona,
        check_figures: FiguresCheck | None = None,
    ) -> None:
        self.name = name
        self._provider = provider
        self._tools = tools
        self._context = context
        self._options = options
        self._persona = persona
        self._check_figures = check_figures

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Yield what happens, ending with `Answered` (or `ApprovalsNeeded`). Raises `ProviderError` or `TooLarge` when there is no answer."""
        reserved = spec_tokens(self._tools.specs())
        run = TurnRun(self.name, turn, await self._context.open(self._persona, turn, reserved))
        calls = CallRunner(self._tools, turn)
        async with closing(self._work(run, calls)) as events:
            async for event in events:
                yield event
        if calls.needing:
            yield ApprovalsNeeded(calls=calls.needing)
            return
        if not run.text.strip():
            run.text = calls.account()
            yield TextDelta(turn_id=turn.turn.id, text=run.text)
        yield Answered(
            text=run.text,
            finish_reason=finish_reason(run, calls),
            usage=run.usage,
            citations=cited(run.text, run.citations),
            notes=(*run.prompt.enrichment.notes, *await self._figure_notes(run, calls)),
        )

    async def _work(self, run: TurnRun, calls: CallRunner) -> AsyncIterator[AgentEvent]:
        """First what a worker before this one had done, as if it were done now, and then the rest."""
        if run.text:
            yield TextDelta(turn_id=run.turn.turn.id, text=run.text)
        for event in calls.told_again():
            yield event
        interrupted = calls.interrupted(run.working)
        steps = [self._steps(run, calls)]
        if interrupted.tool_calls:
            steps.insert(0, self._tool_step(run, calls, interrupted))
        for step in steps:
            if not calls.needing:
                async with closing(step) as events:
                    async for event in events:
                        yield event

    async def _steps(self, run: TurnRun, calls: CallRunner) -> AsyncIterator[AgentEvent]:
        """Model and tools in turn, until an answer without tool calls or a limit."""
        for _ in range(self._options.max_iterations):
            async with closing(self._model_step(run)) as events:
                async for event in events:
                    yield event
            if not run.reply.tool_calls:
                return
            async with closing(self._tool_step(run, calls, run.reply)) as events:
                async for event in events:
                    yield event
            if calls.needing:
                return
            if calls.stuck:
                break
        calls.cut_short = True
        async with closing(self._model_step(run, WRAP_UP)) as events:
            async for event in events:
                yield event

    async def _model_step(self, run: TurnRun, instruction: str = "") -> AsyncIterator[AgentEvent]:
        """One model call. With an `instruction` the answer must be text: tool calls are left out of the record."""
        before = len(run.text)
        async with closing(self._chunks(run, instruction)) as chunks:
            async for chunk in chunks:
                if not isinstance(chunk, TextChunk):
                    run.reply = chunk
                    continue
                parted = "\n\n" if run.text and len(run.text) == before else ""
                run.text += parted + chunk.text
                yield TextDelta(turn_id=run.turn.turn.id, text=parted + chunk.text)
        run.usage += run.reply.usage
        asked = () if instruction else with_own_ids(run.reply.tool_calls, run.working)
        run.reply = replace(run.reply, tool_calls=asked)
        if run.reply.text.strip() or run.reply.tool_calls:
            yield run.record(
                ChatMessage(
                    role="assistant", content=run.reply.text, tool_calls=run.reply.tool_calls
                )
            )
        elif not instruction:
            async with closing(self._nudge(run)) as events:
                async for event in events:
                    yield event

    async def _nudge(self, run: TurnRun) -> AsyncIterator[AgentEvent]:
        """An empty answer is asked about once; a second one is the model's failure."""
        if run.nudged:
            raise ProviderBadResponse(
                f"the model {self._options.model!r} answered with nothing, twice",
                hint="try again, or choose another model",
            )
        run.nudged = True
        run.working.append(ChatMessage(role="user", content=NUDGE))
        async with closing(self._model_step(run)) as events:
            async for event in events:
                yield event

    async def _chunks(self, run: TurnRun, instruction: str) -> AsyncIterator[ChatChunk]:
        """The model's stream; a prompt that overflows the model's own window is tried once more at half the size."""
        try:
            async with closing(self._stream(run, instruction)) as stream:
                async for chunk in stream:
                    yield chunk
        except ContextOverflow:
            run.prompt = replace(run.prompt, budget=run.prompt.budget // 2)
            async with closing(self._stream(run, instruction)) as stream:
                async for chunk in stream:
                    yield chunk

    def _stream(self, run: TurnRun, instruction: str) -> AsyncIterator[ChatChunk]:
        return self._provider.chat_stream(self._request(run, instruction))

    def _request(self, run: TurnRun, instruction: str) -> ChatRequest:
        specs = tuple(self._tools.specs())
        messages = run.prompt.messages(run.working, specs)
        if instruction:
            messages = (*messages, ChatMessage(role="user", content=instruction))
        return ChatRequest(
            model=self._options.model,
            messages=messages,
            tools=specs,
            max_output_tokens=self._options.max_output_tokens,
            temperature=self._options.temperature,
            timeout_s=self._options.timeout_s,
            stream=run.turn.turn.message.stream,
        )

    async def _tool_step(
        self, run: TurnRun, calls: CallRunner, reply: ChatReply
    ) -> AsyncIterator[AgentEvent]:
        async with closing(calls.run(reply.tool_calls, run.step + 1)) as events:
            async for event in events:
                yield event
        if not calls.needing:
            yield run.record(*calls.messages, calls=calls.reports)

    async def _figure_notes(self, run: TurnRun, calls: CallRunner) -> tuple[str, ...]:
        """The mark on figures that nothing supports: no number of a result, and nothing that was asked, read or told."""
        if self._check_figures is None or not any(map(str.isdigit, run.text)):
            return ()
        said = (*run.prompt.history, *run.working)
        past = " ".join(m.content for m in said if m.role in {"user", "tool"})
        question = f"{run.prompt.question.content} {past} {run.prompt.enrichment.text}"
        long = len(run.text) + len(question) > INLINE_CHECK_CHARACTERS
        if long or len(calls.figures) > INLINE_CHECK_FIGURES:
            check = asyncio.to_thread(self._check_figures, run.text, calls.figures, question)
            loose = await check
        else:
            loose = self._check_figures(run.text, calls.figures, question)
        if not loose:
            return ()
        cut = calls.figures_cut  # then the figure may stand where nobody looked
        which = "Could not be checked against all results" if cut else "Not found in any result"
        return (f"{which}: {', '.join(loose)}. Check before you rely on it.",)


def finish_reason(run: TurnRun, calls: CallRunner) -> str:
    """Why the loop ended, as `OutboundMessage.finish_reason` spells it."""
    if calls.stuck:
        return "duplicate_tool_calls_detected"
    if calls.cut_short:
        return "max_iterations_reached"
    return "truncated" if run.reply.finish_reason == "length" else "completed"
