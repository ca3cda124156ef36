"""The conversation stores in memory: the same promises as the real ones, and nothing survives the process."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from databot.storage.base import (
    OPEN_STATES,
    Accepted,
    Claim,
    LoggedMessage,
    SessionSummary,
    Step,
    TurnRecord,
)
from databot.testing.memory_outbox import MemoryOutbox
from databot.tools.base import Approval
from databot.types.chat import ChatMessage
from databot.types.clock import Clock
from databot.types.errors import Busy, ClaimLost, NotFound
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage
from databot.types.support import CallNote

LOST_RESULT = "no result: the turn ended before this call did"
STOPPED = "stopped"


@dataclass(slots=True)
class KeptTurn:
    """A turn, its steps and the notes on its calls; and what the claims on it came to."""

    record: TurnRecord
    steps: dict[int, Step] = field(default_factory=dict[int, Step])
    notes: dict[tuple[str, bool], CallNote] = field(
        default_factory=dict[tuple[str, bool], CallNote]
    )
    approvals: dict[str, Approval] = field(default_factory=dict[str, Approval])
    attempts: int = 0
    claims: int = 0
    stop_asked: bool = False
    ended_by: int = 0

    @property
    def is_open(self) -> bool:
        return self.record.state in OPEN_STATES

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


@dataclass(slots=True)
class Held:
    """Who holds a conversation: the fence of the last claim, and until when its owner counts as alive."""

    fence: int = 0
    owner: str | None = None
    until: float = 0.0


class MemoryLog:
    """`Inbox`, `Journal` and `Sessions` in one, over plain dictionaries; `MemoryClaims` claims in it.

    What the ends of turns are to deliver goes into the `outbox`.
    """

    def __init__(self, clock: Clock, outbox: MemoryOutbox | None = None) -> None:
        self.clock = clock
        self.outbox = outbox or MemoryOutbox(clock)
        self.turns: dict[str, KeptTurn] = {}
        self.held: dict[ConversationKey, Held] = {}
        self.conversations: dict[ConversationKey, list[KeptTurn]] = {}
        self._external: dict[tuple[str, str, str], str] = {}

    async def ingest(
        self, turn_id: str, message: InboundMessage, *, most_waiting: int = 2**31
    ) -> Accepted:
        first = self._first(turn_id, message)
        if first is not None:
            kept = self.turns[first]
            return Accepted(turn_id=first, seq=kept.record.seq, duplicate=True)
        turns = self.conversations.get(message.conversation, [])
        if sum(kept.record.state == "queued" for kept in turns) >= most_waiting:
            raise Busy("too many messages of this conversation are waiting for their answers")
        self.conversations[message.conversation] = turns
        if message.message_id is not None:
            key = (message.tenant_id, message.channel, message.message_id)
            self._external[key] = turn_id
        record = TurnRecord(
            turn_id=turn_id,
            conversation=message.conversation,
            seq=len(turns) + 1,
            message=message,
            state="queued",
            accepted_at=self.clock.now(),
        )
        kept = KeptTurn(record)
        turns.append(kept)
        self.turns[turn_id] = kept
        return Accepted(turn_id=turn_id, seq=record.seq, duplicate=False)

    def _first(self, turn_id: str, message: InboundMessage) -> str | None:
        if message.message_id is not None:
            key = (message.tenant_id, message.channel, message.message_id)
            if key in self._external:
                return self._external[key]
        return turn_id if turn_id in self.turns else None

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        kept = self.turns.get(turn_id)
        return kept.record if kept and kept.record.conversation.tenant_id == tenant_id else None

    async def open_turns(self, conversation: ConversationKey) -> Sequence[str]:
        turns = self.conversations.get(conversation, ())
        return [kept.record.turn_id for kept in turns if kept.is_open]

    async def open_by_tenant(self) -> Mapping[str, int]:
        return Counter(
            kept.record.conversation.tenant_id
            for kept in self.turns.values()
            if kept.is_open and kept.record.state != "waiting"
        )

    async def stop(
        self,
        tenant_id: str,
        turn_id: str,
        error: Mapping[str, str],
        *,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        kept = self.turns.get(turn_id)
        if kept is None or kept.record.conversation.tenant_id != tenant_id or not kept.is_open:
            return False
        kept.stop_asked = True
        idle = kept.record.state != "running"
        if idle:
            kept.record = replace(kept.record, state="cancelled", error=error)
            if deliver is not None:
                self.outbox.put(deliver, STOPPED)
            for item in kept.approvals.values():
                if item.state == "pending":
                    over = replace(item, state="expired", decided_at=self.clock.now())
                    kept.approvals[item.id] = over
        return idle

    async def dead(self, tenant_id: str | None = None, *, limit: int = 100) -> Sequence[TurnRecord]:
        found = [
            kept.record
            for kept in self.turns.values()
            if kept.record.state == "dead"
            and tenant_id in {None, kept.record.conversation.tenant_id}
        ]
        return found[::-1][:limit]

    async def replay(self, tenant_id: str, turn_id: str) -> ConversationKey | None:
        kept = self.turns.get(turn_id)
        if kept is None or kept.record.state != "dead":
            return None
        if kept.record.conversation.tenant_id != tenant_id:
            return None
        kept.record = replace(kept.record, state="queued", error=None)
        kept.attempts, kept.stop_asked, kept.ended_by = 0, False, 0
        return kept.record.conversation

    async def append(self, claim: Claim, step: Step) -> None:
        self.claimed(claim).steps.setdefault(step.step, step)

    async def note(self, claim: Claim, note: CallNote) -> None:
        self.claimed(claim).notes.setdefault((note.call_id, note.result is None), note)

    def claimed(self, claim: Claim) -> KeptTurn:
        """The turn of a claim that may still write."""
        kept = self.turns.get(claim.turn_id)
        if kept is None:
            raise NotFound("turn", claim.turn_id)
        held = self.held[kept.record.conversation]
        if kept.record.state != "running" or held.fence != claim.fence:
            raise ClaimLost(f"turn {claim.turn_id}")
        return kept

    async def history(self, conversation: ConversationKey, turns: int) -> Sequence[ChatMessage]:
        finished = [kept for kept in self.conversations.get(conversation, []) if not kept.is_open]
        last = finished[-turns:] if turns else []
        return [message for kept in last for message in kept.messages()]

    async def steps(self, turn_id: str) -> Sequence[Step]:
        kept = self.turns.get(turn_id)
        return [step for _, step in sorted(kept.steps.items())] if kept else []

    async def notes(self, turn_id: str) -> Sequence[CallNote]:
        kept = self.turns.get(turn_id)
        notes = kept.notes.values() if kept else ()
        return sorted(notes, key=lambda note: (note.step, note.result is not None))

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
            for key, turns in self.conversations.items()
            if key.tenant_id == tenant_id
        ]
        known = [item for item in summaries if before is None or item.updated_at < before]
        return sorted(known, key=lambda item: item.updated_at, reverse=True)[:limit]

    async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
        found = [
            summary.conversation
            for summary in await self.list(tenant_id, limit=len(self.conversations))
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
            for kept in self.conversations.get(conversation, [])
            for message in kept.messages()
        ]

    async def delete(self, conversation: ConversationKey) -> bool:
        turns = self.conversations.pop(conversation, None)
        gone = {kept.record.turn_id for kept in turns or ()}
        for turn_id in gone:
            self.turns.pop(turn_id, None)
        self._external = {key: turn for key, turn in self._external.items() if turn not in gone}
        return turns is not None
