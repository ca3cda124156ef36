"""The conversation stores in memory: the same promises as the real ones, and nothing survives the process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from databot.storage.base import (
    OPEN_STATES,
    Accepted,
    LoggedMessage,
    SessionSummary,
    Step,
    TurnRecord,
    TurnState,
)
from databot.types.chat import ChatMessage
from databot.types.clock import Clock
from databot.types.errors import NotFound
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage

LOST_RESULT = "no result: the turn ended before this call did"


@dataclass(slots=True)
class KeptTurn:
    """A turn and its steps."""

    record: TurnRecord
    steps: dict[int, Step] = field(default_factory=dict[int, Step])

    def messages(self) -> list[ChatMessage]:
        """The person's message and the steps, with every tool call answered."""
        result = [ChatMessage(role="user", content=self.record.message.content)]
        for _, step in sorted(self.steps.items()):
            result.extend(step.messages)
        answered = {message.tool_call_id for message in result}
        result.extend(
            ChatMessage(role="tool", content=LOST_RESULT, tool_call_id=call.id, name=call.name)
            for message in tuple(result)
            for call in message.tool_calls
            if call.id not in answered
        )
        return result


class MemoryLog:
    """`Inbox`, `Journal` and `Sessions` in one, over plain dictionaries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns: dict[str, KeptTurn] = {}
        self._conversations: dict[ConversationKey, list[KeptTurn]] = {}
        self._external: dict[tuple[str, str, str], str] = {}

    async def ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
        if message.message_id is not None:
            key = (message.tenant_id, message.channel, message.message_id)
            first = self._external.setdefault(key, turn_id)
            if first != turn_id:
                seq = self._turns[first].record.seq
                return Accepted(turn_id=first, seq=seq, duplicate=True)
        turns = self._conversations.setdefault(message.conversation, [])
        record = TurnRecord(
            turn_id=turn_id,
            conversation=message.conversation,
            seq=len(turns) + 1,
            message=message,
            state="queued",
            accepted_at=self._clock.now(),
        )
        kept = KeptTurn(record)
        turns.append(kept)
        self._turns[turn_id] = kept
        return Accepted(turn_id=turn_id, seq=record.seq, duplicate=False)

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        kept = self._turns.get(turn_id)
        return kept.record if kept and kept.record.conversation.tenant_id == tenant_id else None

    async def unfinished(self) -> Sequence[TurnRecord]:
        return [kept.record for kept in self._turns.values() if kept.record.state in OPEN_STATES]

    async def open_turns(self, conversation: ConversationKey) -> Sequence[str]:
        turns = self._conversations.get(conversation, ())
        return [kept.record.turn_id for kept in turns if kept.record.state in OPEN_STATES]

    async def begin(self, turn_id: str) -> None:
        kept = self._turns.get(turn_id)
        if kept is not None and kept.record.state == "queued":
            kept.record = replace(kept.record, state="running")

    async def settle(
        self,
        turn_id: str,
        state: TurnState,
        *,
        steps: Sequence[Step] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
    ) -> None:
        kept = self._turns.get(turn_id)
        if kept is None or kept.record.state not in OPEN_STATES:
            return
        for step in steps:
            kept.steps.setdefault(step.step, step)
        kept.record = replace(kept.record, state=state, reply=reply, error=error)

    async def append(self, conversation: ConversationKey, step: Step) -> None:
        kept = self._turns.get(step.turn_id)
        if kept is None or kept.record.conversation != conversation:
            raise NotFound("turn", step.turn_id)
        kept.steps.setdefault(step.step, step)

    async def history(self, conversation: ConversationKey, turns: int) -> Sequence[ChatMessage]:
        finished = [
            kept
            for kept in self._conversations.get(conversation, [])
            if kept.record.state not in OPEN_STATES
        ]
        last = finished[-turns:] if turns else []
        return [message for kept in last for message in kept.messages()]

    async def steps(self, turn_id: str) -> Sequence[Step]:
        kept = self._turns.get(turn_id)
        return [step for _, step in sorted(kept.steps.items())] if kept else []

    async def list(
        self, tenant_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[SessionSummary]:
        summaries = [
            SessionSummary(
                conversation=key,
                channel=turns[0].record.message.channel,
                title=turns[0].record.message.content[:80],
                turns=len(turns),
                created_at=turns[0].record.accepted_at,
                updated_at=turns[-1].record.accepted_at,
            )
            for key, turns in self._conversations.items()
            if key.tenant_id == tenant_id
        ]
        known = [item for item in summaries if before is None or item.updated_at < before]
        return sorted(known, key=lambda item: item.updated_at, reverse=True)[:limit]

    async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
        found = [
            summary.conversation
            for summary in await self.list(tenant_id, limit=len(self._conversations))
            if summary.conversation.session_id == session_id
        ]
        return found[0] if found else None

    async def messages(self, conversation: ConversationKey) -> Sequence[LoggedMessage]:
        return [
            LoggedMessage(
                role=message.role,
                content=message.content,
                turn_id=kept.record.turn_id,
                at=kept.record.accepted_at,
            )
            for kept in self._conversations.get(conversation, [])
            for message in kept.messages()
        ]

    async def delete(self, conversation: ConversationKey) -> bool:
        turns = self._conversations.pop(conversation, None)
        gone = {kept.record.turn_id for kept in turns or ()}
        for turn_id in gone:
            self._turns.pop(turn_id, None)
        self._external = {key: turn for key, turn in self._external.items() if turn not in gone}
        return turns is not None
