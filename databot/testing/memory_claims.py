"""Claims on the turns of a `MemoryLog`: the same promises as the real ones, for any number of workers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from databot.storage.base import (
    MANY_CLAIMS,
    OPEN_STATES,
    ApprovalRequest,
    Claim,
    Renewal,
    Step,
    TurnState,
    Worker,
)
from databot.testing.memory_log import Held, KeptTurn, MemoryLog
from databot.tools.base import Approval
from databot.types.errors import ClaimLost, NotFound
from databot.types.messages import ConversationKey, OutboundMessage

TEST_WORKER = Worker(name="worker")


class MemoryClaims:
    """`Claims` of one worker; what a turn's end is to deliver goes into the log's outbox."""

    def __init__(self, log: MemoryLog, worker: Worker = TEST_WORKER) -> None:
        self._log = log
        self._worker = worker

    async def claim(self, conversation: ConversationKey, *, certain: bool = True) -> Claim | None:
        del certain
        held = self._log.held.setdefault(conversation, Held())
        ready = [kept for kept in self._log.conversations.get(conversation, ()) if is_ready(kept)]
        if not ready or not self._is_free(held):
            return None
        kept = ready[0]
        held.fence += 1
        held.owner = self._worker.name
        held.until = self._log.clock.monotonic() + self._worker.ttl_s
        kept.attempts += 1
        kept.claims += 1
        kept.record = replace(kept.record, state="running")
        return Claim(
            record=kept.record,
            fence=held.fence,
            attempt=kept.attempts,
            resumed=kept.claims > 1,
            stop_asked=kept.stop_asked,
        )

    async def settle(
        self,
        claim: Claim,
        state: TurnState,
        *,
        steps: Sequence[Step] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        if state in OPEN_STATES:
            raise ValueError(f"{state!r} does not end a turn")
        kept = self._log.turns.get(claim.turn_id)
        if kept is not None and not kept.is_open and kept.ended_by == claim.fence:
            return self._has_more(kept)
        kept = self._log.claimed(claim)
        for step in steps:
            kept.steps.setdefault(step.step, step)
        kept.record = replace(kept.record, state=state, reply=reply, error=error)
        kept.ended_by = claim.fence
        if deliver is not None:
            self._log.outbox.put(deliver, claim.fence)
        return self._let_go(kept)

    async def hold(self, claim: Claim, approvals: Sequence[ApprovalRequest]) -> bool:
        kept = self._log.turns.get(claim.turn_id)
        if kept is not None and self._was_left(kept, claim):
            return self._has_more(kept)
        kept = self._log.claimed(claim)
        if not kept.stop_asked:
            for request in approvals:
                kept.approvals.setdefault(request.id, self._asked(kept, request))
        state: TurnState = "queued" if kept.stop_asked else "waiting"
        kept.record = replace(kept.record, state=state)
        kept.attempts = 0
        return self._let_go(kept)

    def _asked(self, kept: KeptTurn, request: ApprovalRequest) -> Approval:
        return Approval(
            id=request.id,
            conversation=kept.record.conversation,
            turn_id=kept.record.turn_id,
            call_id=request.call_id,
            tool=request.tool,
            arguments=request.arguments,
            digest=request.digest,
            state="pending",
            requested_at=self._log.clock.now(),
            expires_at=request.expires_at,
        )

    async def release(self, claim: Claim) -> None:
        try:
            kept = self._log.claimed(claim)
        except (ClaimLost, NotFound):
            return
        kept.record = replace(kept.record, state="queued")
        kept.attempts = max(0, kept.attempts - 1)
        self._let_go(kept)

    async def outlived(self, claim: Claim) -> None:
        kept = self._log.turns.get(claim.turn_id)
        if kept is not None and kept.is_open and kept.claims <= MANY_CLAIMS:
            kept.attempts = max(0, kept.attempts - 1)

    async def renew(self, claims: Sequence[Claim]) -> Sequence[Renewal]:
        return [self._renewed(claim) for claim in claims]

    def _renewed(self, claim: Claim) -> Renewal:
        try:
            kept = self._log.claimed(claim)
        except (ClaimLost, NotFound):
            return Renewal(lost=True)
        held = self._log.held[kept.record.conversation]
        held.until = self._log.clock.monotonic() + self._worker.ttl_s
        return Renewal(stop_asked=kept.stop_asked)

    async def stranded(
        self, older_than_s: float, *, limit: int = 1_000
    ) -> Sequence[ConversationKey]:
        before = self._log.clock.now() - timedelta(seconds=older_than_s)
        found = {
            key: None
            for key, turns in self._log.conversations.items()
            if self._is_free(self._log.held.get(key, Held()))
            and any(is_ready(kept) and kept.record.accepted_at <= before for kept in turns)
        }
        return list(found)[:limit]

    def _is_free(self, held: Held) -> bool:
        now = self._log.clock.monotonic()
        live = now < held.until <= now + self._worker.ttl_s
        return held.owner in {None, self._worker.name} or not live

    def _was_left(self, kept: KeptTurn, claim: Claim) -> bool:
        """Whether this claim has let go of the open turn before."""
        is_latest = self._log.held[kept.record.conversation].fence == claim.fence
        return is_latest and kept.is_open and kept.record.state != "running"

    def _let_go(self, kept: KeptTurn) -> bool:
        held = self._log.held[kept.record.conversation]
        held.owner, held.until = None, 0.0
        return self._has_more(kept)

    def _has_more(self, kept: KeptTurn) -> bool:
        return any(map(is_ready, self._log.conversations.get(kept.record.conversation, ())))


def is_ready(kept: KeptTurn) -> bool:
    """Whether the turn waits for a worker, or for another one."""
    return kept.is_open and kept.record.state != "waiting"
