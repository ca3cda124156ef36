"""The approver that asks on the disk: a call waits there for a person's decision, for days and across restarts.

It only reads. Asking is the turn's (it is let go of until there is a decision), deciding is a person's.
"""

from dataclasses import dataclass

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

EXPIRED = "a person's approval was asked for, and nobody decided in time"
CHANGED = "a person decided on this call with other arguments: that decision does not count for it"


@dataclass(frozen=True, slots=True)
class StoreApprover:
    """Implements `Approver` over the store: a decision counts for the very call it was made on, and for no other."""

    approvals: Approvals

    async def decide(self, call: ToolCall, context: ToolContext) -> Decision:
        """Approved, or refused with the reason; raises `ApprovalNeeded` while nobody has decided."""
        if not context.turn_id:
            return await DenyAll().decide(call, context)
        tenant_id = context.conversation.tenant_id
        asked = await self.approvals.asked(tenant_id, context.turn_id, call.id)
        if asked is None:
            raise ApprovalNeeded("the call waits for a person's approval")
        if asked.digest != call_digest(call.name, call.arguments):
            return Decision(approved=False, reason=CHANGED)
        return decision(asked)


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
