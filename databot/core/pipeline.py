"""The turn pipeline: what happens to one accepted turn, from claim to exactly one terminal event.

It drives the agent through the middleware, keeps every step in the journal before the next thing happens, settles the
turn in the store and only then tells the world. It knows no channel, and no agent but the one it is given.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from databot.agents.base import Agent, AgentEvent, AgentTurn, Answered, StepRecorded
from databot.core.bus import MessageBus
from databot.core.fold import ReplyFold
from databot.middleware.base import Respond, TurnMiddleware
from databot.storage.base import Inbox, Journal, Step, TurnState
from databot.types.clock import Clock
from databot.types.closing import closing
from databot.types.errors import (
    DatabotError,
    NotFound,
    StorageUnavailable,
    TurnCancelled,
    TurnTimedOut,
    describe,
)
from databot.types.events import (
    MessageCompleted,
    TurnFailed,
    TurnFinished,
    TurnRestarted,
    TurnStarted,
)
from databot.types.messages import Turn
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
STORE_TRIES = 4
STORE_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineOptions:
    """Bounds of a turn."""

    turn_timeout_s: float = 300.0


class TurnPipeline:
    """Answers accepted turns, one call of `run` each."""

    def __init__(
        self,
        inbox: Inbox,
        journal: Journal,
        bus: MessageBus,
        clock: Clock,
        agents: Mapping[str, Agent],
        *,
        middleware: Sequence[TurnMiddleware] = (),
        options: PipelineOptions | None = None,
    ) -> None:
        self._inbox = inbox
        self._journal = journal
        self._bus = bus
        self._clock = clock
        self._agents = agents
        self._middleware = middleware
        self._options = options or PipelineOptions()
        self._cancelled: set[str] = set()
        self._ending: set[str] = set()

    def mark_cancelled(self, turn_id: str) -> bool:
        """From now on a cancellation of this turn's task is a person's wish and not a shutdown.

        `False` when there is nothing to cancel any more: it was asked before, or the turn's end is being stored.
        """
        if turn_id in self._ending or turn_id in self._cancelled:
            return False
        self._cancelled.add(turn_id)
        return True

    async def run(self, turn: Turn, *, resumed: bool = False) -> None:
        """Answer the turn.

        Ends with one terminal event, unless the daemon is shutting down: then the turn goes on after the next start.
        """
        if resumed:
            self._bus.emit(turn, TurnRestarted(turn_id=turn.id))
        self._bus.emit(turn, TurnStarted(turn_id=turn.id, session_id=turn.message.session_id))
        try:
            await self._answer(turn, resumed=resumed)
        except asyncio.CancelledError as error:
            if turn.id in self._cancelled:
                await self.end_cancelled(turn)
            elif was_asked_to_stop():
                raise
            else:  # something an agent waited for was cancelled, and nobody means the turn
                log.exception("turn %s failed", turn.id)
                await self._fail(turn, "internal_error", describe(error))
        except DatabotError as error:
            log.warning("turn %s failed: %s", turn.id, describe(error))
            await self._fail(turn, error.type, describe(error))
        except Exception as error:  # boundary: lane
            log.exception("turn %s failed", turn.id)
            await self._fail(turn, "internal_error", describe(error))
        finally:
            self._cancelled.discard(turn.id)
            self._ending.discard(turn.id)

    async def end_cancelled(self, turn: Turn) -> None:
        """End a turn that a person stopped."""
        try:
            await self._fail(turn, TurnCancelled.type, describe(TurnCancelled()), state="cancelled")
        finally:
            self._ending.discard(turn.id)

    async def _answer(self, turn: Turn, *, resumed: bool) -> None:
        await self._inbox.begin(turn.id)
        fold = ReplyFold(turn)
        limit = asyncio.timeout(self._options.turn_timeout_s)
        try:
            async with limit:
                last = await self._work(turn, fold, resumed=resumed)
        except TimeoutError as error:
            if limit.expired():
                raise TurnTimedOut(self._options.turn_timeout_s) from error
            raise
        self._ending.add(turn.id)
        reply = fold.reply()
        await self._stored(lambda: self._inbox.settle(turn.id, "done", steps=last, reply=reply))
        self._bus.emit(turn, MessageCompleted(turn_id=turn.id, message=reply))
        self._bus.emit(turn, TurnFinished(turn_id=turn.id, message=reply))

    async def _work(self, turn: Turn, fold: ReplyFold, *, resumed: bool) -> tuple[Step, ...]:
        """Let the agent answer; gives back the steps that are not in the journal yet."""
        last: tuple[Step, ...] = ()
        agent_turn = await self._agent_turn(turn, resumed=resumed)
        async with closing(self._respond()(agent_turn)) as events:
            async for event in events:
                fold.add(event)
                if isinstance(event, StepRecorded):
                    last = await self._keep(turn, event)
                elif not isinstance(event, Answered):
                    self._bus.emit(turn, event)
        return last

    async def _agent_turn(self, turn: Turn, *, resumed: bool) -> AgentTurn:
        steps = await self._journal.steps(turn.id) if resumed else ()
        return AgentTurn(
            turn=turn,
            done=[message for step in steps for message in step.messages],
            steps_done=max((step.step for step in steps), default=0),
            kept=[step.support for step in steps],
        )

    async def _keep(self, turn: Turn, event: StepRecorded) -> tuple[Step, ...]:
        """Journal a step. The answer itself, which starts no tool, is kept back to be settled with the turn's end."""
        step = Step(
            turn_id=turn.id, step=event.step, messages=event.messages, support=event.support
        )
        last = event.messages[-1]
        if last.role == "assistant" and not last.tool_calls:
            return (step,)
        await self._stored(lambda: self._journal.append(turn.conversation, step))
        return ()

    def _respond(self) -> Respond:
        respond: Respond = self._agent_respond
        for middleware in reversed(self._middleware):
            respond = wrapped(middleware, respond)
        return respond

    def _agent_respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        agent = self._agents.get(turn.turn.message.bot_id)
        if agent is None:
            raise NotFound("bot", turn.turn.message.bot_id)
        return agent.respond(turn)

    async def _fail(
        self, turn: Turn, error: str, reason: str, *, state: TurnState = "failed"
    ) -> None:
        """Settle and tell. When even that cannot be stored the person is told all the same."""
        self._ending.add(turn.id)
        detail = {"type": error, "message": reason}
        try:
            await self._stored(lambda: self._inbox.settle(turn.id, state, error=detail))
        except DatabotError:
            log.exception("the end of turn %s could not be stored", turn.id)
        self._bus.emit(
            turn,
            TurnFailed(
                turn_id=turn.id, session_id=turn.message.session_id, error=error, reason=reason
            ),
        )

    async def _stored(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write to the store, trying again for a moment when it cannot take the write now."""
        for attempt in range(1, STORE_TRIES + 1):
            try:
                await write()
            except StorageUnavailable:
                if attempt == STORE_TRIES:
                    raise
                await self._clock.sleep(STORE_PAUSE_S * attempt)
            else:
                return


def wrapped(middleware: TurnMiddleware, respond: Respond) -> Respond:
    """`respond` with the middleware around it."""

    def inner(turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        return middleware.wrap(turn, respond)

    return inner
