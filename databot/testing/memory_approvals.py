"""Approvals over a `MemoryLog`: the same promises as the real ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from databot.testing.memory_log import KeptTurn, MemoryLog
from databot.tools.base import Approval, ApprovalState, Verdict
from databot.types.messages import ConversationKey

STATES: dict[Verdict, ApprovalState] = {"approve": "approved", "deny": "denied"}


class MemoryApprovals:
    """`Approvals` of the turns of one log."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def pending(
        self, tenant_id: str, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        found = [
            item
            for item in self._all(tenant_id)
            if item.state == "pending" and turn_id in {None, item.turn_id}
        ]
        return sorted(found, key=lambda item: (item.requested_at, item.id))[:limit]

    async def find(self, tenant_id: str, approval_id: str) -> Approval | None:
        return next((item for item in self._all(tenant_id) if item.id == approval_id), None)

    async def decide(
        self, tenant_id: str, approval_id: str, verdict: Verdict, *, by: str, note: str = ""
    ) -> Approval | None:
        found = await self.find(tenant_id, approval_id)
        if found is None or found.state != "pending":
            return None
        kept = self._log.turns[found.turn_id]
        decided = replace(
            found,
            state=STATES[verdict],
            decided_at=self._log.clock.now(),
            decided_by=by,
            note=note,
        )
        kept.approvals[approval_id] = decided
        self._wake(kept)
        return decided

    async def asked(self, tenant_id: str, turn_id: str, call_id: str) -> Approval | None:
        found = (item for item in self._all(tenant_id) if item.turn_id == turn_id)
        return next((item for item in found if item.call_id == call_id), None)

    async def expire(self, *, limit: int = 100) -> Sequence[ConversationKey]:
        woken: list[ConversationKey] = []
        for kept in self._log.turns.values():
            if kept.record.state == "waiting" and len(woken) < limit:
                for item in kept.approvals.values():
                    now = self._standing(item)
                    if now is not item:
                        kept.approvals[item.id] = replace(now, decided_at=self._log.clock.now())
                if self._wake(kept):
                    woken.append(kept.record.conversation)
        return woken

    def _all(self, tenant_id: str) -> Iterator[Approval]:
        for kept in self._log.turns.values():
            if kept.record.conversation.tenant_id == tenant_id:
                yield from map(self._standing, kept.approvals.values())

    def _standing(self, item: Approval) -> Approval:
        over = item.state == "pending" and item.expires_at <= self._log.clock.now()
        return replace(item, state="expired") if over else item

    def _wake(self, kept: KeptTurn) -> bool:
        """Let a turn go on that waits for nobody any more."""
        asked = any(self._standing(item).state == "pending" for item in kept.approvals.values())
        if asked or kept.record.state != "waiting":
            return False
        kept.record = replace(kept.record, state="queued")
        return True
