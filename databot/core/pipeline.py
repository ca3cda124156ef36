"""The turn pipeline: what happens to one claimed turn, from its first event to exactly one terminal one.

It has the turn answered, settles it in the store and only then tells the world. It knows no channel and no agent, and
nothing of other turns.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from databot.core.answering import Answering, Work, stored
from databot.core.bus import MessageBus
from databot.core.ending import kept_for_later
from databot.core.reports import shown_arguments
from databot.storage.base import ApprovalRequest, Claim, Claims, TurnState
from databot.types.approvals import approval_id, call_digest
from databot.types.clock import Clock
from databot.types.errors import (
    ClaimLost,
    DatabotError,
    NotFound,
    StorageUnavailable,
    TurnCancelled,
    TurnTimedOut,
    describe,
)
from databot.types.events import (
    ApprovalRequested,
    MessageCompleted,
    TurnFailed,
    TurnFinished,
    TurnRestarted,
    TurnStarted,
)
from databot.types.messages import OutboundMessage, Turn
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
GAVE_UP = "databot stopped {0} times while working on this message and has given up on it"
Deliver = Callable[[Turn, OutboundMessage | TurnFailed], OutboundMessage | None]


def nowhere(turn: Turn, ended: OutboundMessage | TurnFailed) -> None:
    """Nothing is delivered: whoever asked reads the turn."""
    del turn, ended


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineOptions:
    """Bounds of a turn, and `deliver`: what its channel is to be sent of its end, if anything."""

    turn_timeout_s: float = 300.0
    max_attempts: int = 5
    approval_ttl_s: float = 7 * 24 * 3600.0
    deliver: Deliver = field(default=nowhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How far a turn came: `settled` when it ended; `lost` to another worker; `open` when the store failed it.

    None of these: it waits for a person. `more`: another turn of its conversation waits.
    """

    settled: bool = False
    lost: bool = False
    open: bool = False
    more: bool = False


class TurnPipeline:
    """Answers claimed turns, one call of `run` each."""

    def __init__(
        self,
        claims: Claims,
        answering: Answering,
        bus: MessageBus,
        clock: Clock,
        *,
        options: PipelineOptions | None = None,
    ) -> None:
        self._claims = claims
        self._answering = answering
        self._bus = bus
        self._clock = clock
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

    def is_last_attempt(self, claim: Claim) -> bool:
        """Whether the turn is given up if its worker dies of this attempt too."""
        return claim.attempt == self._options.max_attempts

    def is_ending(self, turn_id: str) -> bool:
        """Whether the turn's end is being stored."""
        return turn_id in self._ending

    async def run(self, claim: Claim) -> Outcome:
        """Answer the turn.

        Ends with one terminal event, unless the turn goes on later or elsewhere: it waits for a person, its claim was
        lost, the daemon is shutting down.
        """
        turn = turn_of(claim)
        if claim.resumed:
            self._bus.emit(turn, TurnRestarted(turn_id=turn.id))
        self._bus.emit(turn, TurnStarted(turn_id=turn.id, session_id=turn.message.session_id))
        try:
            return await self._go_on(claim, turn)
        except asyncio.CancelledError as error:
            if turn.id in self._cancelled:
                return await self._end_stopped(claim, turn)
            if was_asked_to_stop():
                raise
            # something an agent waited for was cancelled, and nobody means the turn
            log.exception("turn %s failed", turn.id)
            return await self._fail(claim, turn, "internal_error", describe(error))
        except (ClaimLost, StorageUnavailable) as error:
            return self._broken_off(turn, error)
        except DatabotError as error:
            log.warning("turn %s failed: %s", turn.id, describe(error))
            return await self._fail(claim, turn, error.type, describe(error))
        except Exception as error:  # boundary: lane
            log.exception("turn %s failed", turn.id)
            return await self._fail(claim, turn, "internal_error", describe(error))
        finally:
            self._cancelled.discard(turn.id)
            self._ending.discard(turn.id)

    async def _go_on(self, claim: Claim, turn: Turn) -> Outcome:
        if claim.stop_asked:
            return await self._end_stopped(claim, turn)
        if claim.attempt > self._options.max_attempts:
            reason = GAVE_UP.format(claim.attempt - 1)
            log.error("turn %s is dead: %s", turn.id, reason)
            return await self._fail(claim, turn, "gave_up", reason, state="dead")
        return await self._answer(claim, turn)

    async def _answer(self, claim: Claim, turn: Turn) -> Outcome:
        work = Work(claim, turn)
        limit = asyncio.timeout(self._options.turn_timeout_s)
        try:
            async with limit:
                await self._answering.work(work)
        except TimeoutError as error:
            if limit.expired():
                raise TurnTimedOut(self._options.turn_timeout_s) from error
            raise
        if work.needing:
            return await self._wait_for_people(work)
        self._ending.add(turn.id)
        reply = work.fold.reply()
        message = MessageCompleted(turn_id=turn.id, message=reply)
        deliver = self._options.deliver(turn, reply)
        more = await stored(
            lambda: self._claims.settle(
                claim, "done", steps=work.last, reply=reply, deliver=deliver
            ),
            self._clock,
        )
        self._bus.emit(turn, message)
        self._bus.emit(turn, TurnFinished(turn_id=turn.id, message=reply))
        return Outcome(settled=True, more=more)

    async def _wait_for_people(self, work: Work) -> Outcome:
        """Ask, on the disk; the turn is claimed again when all is decided."""
        turn, expires_at = work.turn, self._clock.now()
        expires_at += timedelta(seconds=self._options.approval_ttl_s)
        asked = [
            ApprovalRequest(
                id=approval_id(turn.id, call.id),
                call_id=call.id,
                tool=call.name,
                arguments=call.arguments,
                digest=call_digest(call.name, call.arguments),
                expires_at=expires_at,
            )
            for call in work.needing
        ]
        self._ending.add(turn.id)
        more = await stored(lambda: self._claims.hold(work.claim, asked), self._clock)
        for request in asked:
            self._bus.emit(
                turn,
                ApprovalRequested(
                    turn_id=turn.id,
                    approval_id=request.id,
                    tool=request.tool,
                    args=shown_arguments(request.arguments),
                ),
            )
        return Outcome(more=more)

    async def _end_stopped(self, claim: Claim, turn: Turn) -> Outcome:
        """End a turn that a person stopped."""
        reason = describe(TurnCancelled())
        return await self._fail(claim, turn, TurnCancelled.type, reason, state="cancelled")

    async def _fail(
        self, claim: Claim, turn: Turn, error: str, reason: str, *, state: TurnState = "failed"
    ) -> Outcome:
        """Settle and tell."""
        self._ending.add(turn.id)
        failed = TurnFailed(
            turn_id=turn.id, session_id=turn.message.session_id, error=error, reason=reason
        )
        deliver = self._options.deliver(turn, failed)
        detail = {"type": error, "message": reason}
        more = False
        try:
            more = await stored(
                lambda: self._claims.settle(claim, state, error=detail, deliver=deliver),
                self._clock,
            )
        except NotFound:
            pass  # it was deleted: there is nobody to tell but who reads it now
        except DatabotError as problem:
            return self._broken_off(turn, problem)
        self._bus.emit(turn, failed)
        return Outcome(settled=True, more=more)

    def _broken_off(self, turn: Turn, error: DatabotError) -> Outcome:
        """The turn is not over, and goes on elsewhere or when the store can be written again."""
        if isinstance(error, ClaimLost):
            return Outcome(lost=True)
        log.error("turn %s could not be kept and goes on later: %s", turn.id, describe(error))
        reason = kept_for_later(error)
        self._bus.emit(
            turn,
            TurnFailed(
                turn_id=turn.id,
                session_id=turn.message.session_id,
                error=error.type,
                reason=reason,
            ),
        )
        return Outcome(open=True)


def turn_of(claim: Claim) -> Turn:
    """The turn that is claimed."""
    record = claim.record
    return Turn(
        id=record.turn_id,
        message=record.message,
        started_at=record.accepted_at,
        attempt=claim.attempt,
    )
