"""Driving an agent through one turn, with every step in the journal before the next thing happens.

How the turn ends is the pipeline's; what an answer is, the agent's.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from databot.agents.base import (
    Agent,
    AgentEvent,
    AgentTurn,
    Answered,
    ApprovalsNeeded,
    CallNoted,
    StepRecorded,
)
from databot.core.bus import MessageBus
from databot.core.fold import ReplyFold
from databot.middleware.base import Respond, TurnMiddleware
from databot.storage.base import Claim, Journal, Step
from databot.types.chat import ToolCall
from databot.types.clock import Clock
from databot.types.closing import closing
from databot.types.errors import NotFound, StorageUnavailable
from databot.types.messages import Turn

STORE_PAUSES_S = (0.25, 0.5, 1.0, 1.5, 2.0)
"""A write that the store cannot take now is tried again after each of these."""
T = TypeVar("T")


async def stored(write: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Write to the store, trying again for a moment when it cannot take the write now."""
    for pause in STORE_PAUSES_S:
        try:
            return await write()
        except StorageUnavailable:
            await clock.sleep(pause)
    return await write()


class Work:
    """A turn's work so far: the fold of its reply, its last steps, and the calls that need a person."""

    def __init__(self, claim: Claim, turn: Turn) -> None:
        self.claim = claim
        self.turn = turn
        self.fold = ReplyFold(turn)
        self.last: tuple[Step, ...] = ()
        self.needing: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Lets agents answer: `agents` by bot, with the `middleware` around them, outermost first."""

    journal: Journal
    bus: MessageBus
    clock: Clock
    agents: Mapping[str, Agent]
    middleware: Sequence[TurnMiddleware] = ()

    async def work(self, work: Work) -> None:
        """Let the agent answer; the steps that are not in the journal yet stay in `work.last`."""
        agent_turn = await self._agent_turn(work.claim, work.turn)
        async with closing(self._respond()(agent_turn)) as events:
            async for event in events:
                work.fold.add(event)
                match event:
                    case StepRecorded():
                        work.last = await self._keep(work, event)
                    case CallNoted():
                        note = event.note
                        await stored(
                            lambda note=note: self.journal.note(work.claim, note), self.clock
                        )
                    case ApprovalsNeeded():
                        work.needing = event.calls
                    case Answered():
                        pass
                    case _:
                        self.bus.emit(work.turn, event)

    async def _agent_turn(self, claim: Claim, turn: Turn) -> AgentTurn:
        if not claim.resumed:
            return AgentTurn(turn=turn)
        steps = await self.journal.steps(turn.id)
        return AgentTurn(
            turn=turn,
            done=[message for step in steps for message in step.messages],
            steps_done=max((step.step for step in steps), default=0),
            kept=[step.support for step in steps],
            notes=await self.journal.notes(turn.id),
        )

    async def _keep(self, work: Work, event: StepRecorded) -> tuple[Step, ...]:
        """Journal a step. The answer itself, which starts no tool, is kept back to be settled with the turn's end."""
        step = Step(
            turn_id=work.turn.id, step=event.step, messages=event.messages, support=event.support
        )
        last = event.messages[-1]
        if last.role == "assistant" and not last.tool_calls:
            return (step,)
        await stored(lambda: self.journal.append(work.claim, step), self.clock)
        return ()

    def _respond(self) -> Respond:
        respond: Respond = self._agent_respond
        for middleware in reversed(self.middleware):
            respond = wrapped(middleware, respond)
        return respond

    def _agent_respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        agent = self.agents.get(turn.turn.message.bot_id)
        if agent is None:
            raise NotFound("bot", turn.turn.message.bot_id)
        return agent.respond(turn)


def wrapped(middleware: TurnMiddleware, respond: Respond) -> Respond:
    """`respond` with the middleware around it."""

    def inner(turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        return middleware.wrap(turn, respond)

    return inner
