"""The approver that asks on the disk: a call waits there for a person's decision, for days and across restarts.

It only reads. Asking is the turn's (it is let go of until there is a decision), deciding is a person's.
"""

from collections import deque

from databot.tools.base import (
    Approval,
    ApprovalNeeded,
    Approvals,
    Decision,
    ToolContext,
)
from databot.tools.guards import DenyAll
from databot.types.approvals import call_digest
from databot.types.chat import ToolCall

REMEMBERED = 100
EXPIRED = "a person's approval was asked for, and nobody decided in time"
CHANGED = "a person decided on this call with other arguments: that decision does not count for it"


class StoreApprover:
    """Implements `Approver` over the store: a decision counts for the very call it was made on, and for no other.

    An approval stands once it is given, so the last ones are remembered: between being permitted and being made, a call
    does not depend on the store again.
    """

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals
        self._given: deque[tuple[str, str, str, str]] = deque(maxlen=REMEMBERED)

    async def decide(self, call: ToolCall, context: ToolContext) -> Decision:
        """Approved, or refused with the reason; raises `ApprovalNeeded` while nobody has decided."""
        if not context.turn_id:
            return await DenyAll().decide(call, context)
        tenant_id = context.conversation.tenant_id
        digest = call_digest(call.name, call.arguments)
        this = (tenant_id, context.turn_id, call.id, digest)
        if this in self._given:
            return Decision(approved=True)
        asked = await self._approvals.asked(tenant_id, context.turn_id, call.id)
        if asked is None:
            raise ApprovalNeeded("the call waits for a person's approval")
        if asked.digest != digest:
            return Decision(approved=False, reason=CHANGED)
        decided = decision(asked)
        if decided.approved:
            self._given.append(this)
        return decided


def decision(asked: Approval) -> Decision:
    """What came of asking about a call. Raises `ApprovalNeeded` while nothing has."""
    match asked.state:
        case "pending":
            raise ApprovalNeeded("the call waits for a person's approval")
        case "approved":
            return Decision(approved=True)
        case "denied":
            words = f", with the words: {asked.note}" if asked.note else ""
            return Decision(approved=False, reason=f"a person denied it{words}")
        case "expired":
            return Decision(approved=False, reason=EXPIRED)
