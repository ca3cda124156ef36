"""A turn's row, read back: what `inbox` and `claims` have in common."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import select

from databot.storage.base import TurnRecord, TurnState
from databot.storage.codec import decode_message, from_micros, loads
from databot.storage.database import Row
from databot.storage.replies import decode_reply
from databot.storage.tables import conversation, inbox
from databot.types.messages import ConversationKey

KEY = (conversation.c.tenant_id, conversation.c.bot_id, conversation.c.session_id)
RECORD = select(
    inbox.c.turn_id,
    *KEY,
    inbox.c.seq,
    inbox.c.state,
    inbox.c.accepted_at,
    inbox.c.question,
    inbox.c.body,
    inbox.c.attachments,
    inbox.c.reply,
    inbox.c.error,
).join_from(inbox, conversation, inbox.c.conversation_id == conversation.c.id)


class Begun:
    """The turns this process has claimed and not ended.

    A claim may be executed a moment before it is committed; a reader beside it then still finds the turn queued.
    """

    def __init__(self) -> None:
        self._turns: set[str] = set()

    def add(self, turn_id: str) -> None:
        self._turns.add(turn_id)

    def discard(self, turn_id: str) -> None:
        self._turns.discard(turn_id)

    def state(self, turn_id: str, stored: str) -> TurnState:
        """The state to show."""
        begun = stored == "queued" and turn_id in self._turns
        return "running" if begun else cast("TurnState", stored)

    def records(self, rows: Sequence[Row]) -> list[TurnRecord]:
        """What `RECORD` found."""
        return [self._record(row) for row in rows]

    def _record(self, row: Row) -> TurnRecord:
        turn_id, tenant_id, bot_id, session_id, seq, state, at, *said, reply, error = row
        question, body, attachments = said
        data = loads(body)
        return TurnRecord(
            turn_id=turn_id,
            conversation=ConversationKey(tenant_id=tenant_id, bot_id=bot_id, session_id=session_id),
            seq=seq,
            message=decode_message(question, data, attachments),
            state=self.state(turn_id, state),
            accepted_at=from_micros(at),
            reply=decode_reply(reply) if reply else None,
            error=loads(error) if error else None,
            versions=data.get("versions", {}),
        )
