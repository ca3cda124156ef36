"""The kept conversations of a databot that may be answering in them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from databot.core.base import Engine, follow
from databot.storage.base import Inbox, LoggedMessage, Sessions, SessionSummary
from databot.types.errors import NotFound
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
STOP_S = 5.0
"""How long a turn has to end. One that another process runs hears nothing of it; it finds its place gone."""


class LiveSessions:
    """Implements `Sessions` over the store's; what is deleted is stopped first."""

    def __init__(self, inner: Sessions, inbox: Inbox, engine: Engine) -> None:
        self._inner = inner
        self._inbox = inbox
        self._engine = engine

    async def list(
        self, tenant_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[SessionSummary]:
        return await self._inner.list(tenant_id, limit=limit, before=before)

    async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
        return await self._inner.find(tenant_id, session_id)

    async def messages(self, conversation: ConversationKey) -> Sequence[LoggedMessage]:
        return await self._inner.messages(conversation)

    async def delete(self, conversation: ConversationKey) -> bool:
        turns = await self._inbox.open_turns(conversation)
        with suppress(NotFound):  # somebody else deletes it too
            await self._stop(conversation.tenant_id, turns)
        return await self._inner.delete(conversation)

    async def _stop(self, tenant_id: str, turns: Sequence[str]) -> None:
        """Cancel the turns, the last one first, or the next would begin when one ends; then wait for their ends."""
        for turn_id in reversed(turns):
            await self._engine.cancel(tenant_id, turn_id)
        try:
            async with asyncio.timeout(STOP_S):
                for turn_id in turns:
                    async for _ in follow(self._engine, tenant_id, turn_id):
                        pass
        except TimeoutError:
            log.warning("a turn of a deleted conversation did not end within %g s", STOP_S)
