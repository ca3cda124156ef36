"""The desk where people decide on tool calls, and the loop that ends what nobody decides on in time.

Who may decide is asked in one place here. What is decided is the store's; that its turn then goes on is the engine's.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from databot.config.settings import Settings
from databot.storage.open import open_store
from databot.tools.base import Approval, Approvals, Verdict
from databot.types.clock import Clock, RandomIds, SystemClock
from databot.types.errors import Conflict, Forbidden, NotFound, StorageError, describe
from databot.types.messages import ConversationKey, Principal

log = logging.getLogger(__name__)
EXPIRE_EVERY_S = 30.0
GoOn = Callable[[ConversationKey], Awaitable[None]]
"""Wakes a worker for a conversation whose turn waited for a person."""


def may_decide(principal: Principal, approval: Approval) -> bool:
    """Whether this person may approve or deny this call: anybody of its tenant who has come in."""
    return principal.tenant_id == approval.conversation.tenant_id


class Decisions:
    """Implements `ApprovalDesk` over the store and the engine."""

    def __init__(self, approvals: Approvals, go_on: GoOn) -> None:
        self._approvals = approvals
        self._go_on = go_on

    async def pending(
        self, principal: Principal, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        return await self._approvals.pending(principal.tenant_id, turn_id=turn_id, limit=limit)

    async def decide(
        self, principal: Principal, approval_id: str, verdict: Verdict, *, note: str = ""
    ) -> Approval:
        tenant_id = principal.tenant_id
        found = await self._approvals.find(tenant_id, approval_id)
        if found is None:
            raise NotFound("approval", approval_id)
        if not may_decide(principal, found):
            raise Forbidden("you may not decide on this call")
        decided = await self._approvals.decide(
            tenant_id, approval_id, verdict, by=principal.id, note=note
        )
        if decided is None:
            raise await self._decided_before(tenant_id, approval_id)
        log.info("%s of %s: %s by %s", decided.id, decided.tool, decided.state, principal.id)
        if not await self._others_wait(decided):
            await self._go_on(decided.conversation)
        return decided

    async def _others_wait(self, decided: Approval) -> bool:
        """Whether the turn waits for more decisions. Waking it for nothing does no harm, so no failure is told."""
        tenant_id = decided.conversation.tenant_id
        try:
            waiting = await self._approvals.pending(tenant_id, turn_id=decided.turn_id, limit=1)
        except StorageError:
            return False
        return bool(waiting)

    async def _decided_before(self, tenant_id: str, approval_id: str) -> Exception:
        """Why there was nothing to decide any more."""
        found = await self._approvals.find(tenant_id, approval_id)
        if found is None:
            return NotFound("approval", approval_id)
        if found.state == "expired":
            return Conflict("nobody decided on this call in time; it is not run")
        return Conflict(f"this call was {found.state} before", hint="the first decision stands")


@asynccontextmanager
async def open_approvals(settings: Settings) -> AsyncGenerator[Decisions]:
    """The desk of a configured store, beside its daemon or without one; nothing else is opened.

    The daemon finds by itself, within seconds, what goes on. Raises what `open_store` raises.
    """

    async def leave(conversation: ConversationKey) -> None:
        del conversation

    opened = open_store(
        settings.storage_url(), settings.data_dir, SystemClock(), RandomIds(), exclusive=False
    )
    async with opened as store:
        yield Decisions(store.approvals, leave)


async def keep_expiring(approvals: Approvals, go_on: GoOn, clock: Clock) -> None:
    """End what waits for a person for too long, for ever. A store that does not answer is said once."""
    failing = False
    while True:
        await clock.sleep(EXPIRE_EVERY_S)
        try:
            over = await approvals.expire()
        except StorageError as error:
            if not failing:
                log.warning("overdue approvals cannot be looked for: %s", describe(error))
            failing = True
            continue
        failing = False
        for conversation in over:
            log.info("an approval in %s was not given in time", conversation.session_id)
            await go_on(conversation)
