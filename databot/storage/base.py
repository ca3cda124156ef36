"""The contracts of databot's own store: the inbox, the journal, the conversations and the artifacts.

The journal is the durable state of a conversation: a turn is replayed from it, not from memory. Everything here is
keyed by tenant and bot; nothing is ever looked up by an id alone. The store knows no model, no tool and no channel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from databot.types.chat import ChatMessage
from databot.types.evidence import ArtifactRef
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage
from databot.types.support import NO_SUPPORT, StepSupport

TurnState = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
OPEN_STATES: tuple[TurnState, ...] = ("queued", "running", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A message is committed: it will be answered. `duplicate` means it had been accepted before, as this turn."""

    turn_id: str
    seq: int
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """A turn as stored: the message, how far it is, and how it ended.

    `reply` is set when it is done (or cancelled with a partial answer), `error` (`{"type", "message"}`) when it failed.
    """

    turn_id: str
    conversation: ConversationKey
    seq: int
    message: InboundMessage
    state: TurnState
    accepted_at: datetime
    reply: OutboundMessage | None = None
    error: Mapping[str, str] | None = None


class Inbox(Protocol):
    """Accepted messages and what became of them."""

    async def ingest(self, turn_id: str, message: InboundMessage) -> Accepted:
        """Commit a message, creating its conversation if need be.

        The same (tenant, channel, message_id) gives the first turn again. Concurrent messages of one conversation get
        distinct, increasing `seq` (numbers may be left out). The same `turn_id` again is a duplicate of itself.

        Raises:
            RequestError: a name (tenant, bot, session, channel, message id) that no database can hold.
            StorageUnavailable: it was not kept, or nobody knows; delivering it again with its `message_id` is safe.
        """
        ...

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        """One turn of this tenant."""
        ...

    async def unfinished(self) -> Sequence[TurnRecord]:
        """Turns without an end, oldest first, of all tenants: what a restarted daemon resumes."""
        ...

    async def open_turns(self, conversation: ConversationKey) -> Sequence[str]:
        """The ids of the conversation's turns without an end, oldest first."""
        ...

    async def begin(self, turn_id: str) -> None:
        """The turn is running."""
        ...

    async def settle(
        self,
        turn_id: str,
        state: TurnState,
        *,
        steps: Sequence["Step"] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
    ) -> None:
        """End the turn in one transaction: its last journal steps, and its state, reply or error.

        The first end stands: settling a turn that has ended, or was deleted meanwhile, changes nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a step of a turn added to the conversation, and what it left behind. (turn_id, step) is unique.

    `support` is for a worker that goes on with the turn: it is kept of steps appended, and not of the last ones of a
    turn that is settled, whose reply has it all.
    """

    turn_id: str
    step: int
    messages: tuple[ChatMessage, ...]
    support: StepSupport = NO_SUPPORT


class Journal(Protocol):
    """What was said and done in a conversation, append-only."""

    async def append(self, conversation: ConversationKey, step: Step) -> None:
        """Add a step. The same (turn_id, step) again is ignored: the first one stands.

        Raises:
            NotFound: there is no such turn in the conversation (any more).
        """
        ...

    async def history(self, conversation: ConversationKey, turns: int) -> Sequence[ChatMessage]:
        """The messages of the last `turns` finished turns, oldest first: each person's message, then the turn's steps.

        A failed or cancelled turn keeps the person's message and what was journaled, with every tool call answered.
        """
        ...

    async def steps(self, turn_id: str) -> Sequence[Step]:
        """The steps of one turn, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A conversation in a list: `title` is the beginning of its first message.

    `updated_at` is when its last turn began, or when it was made.
    """

    conversation: ConversationKey
    channel: str
    title: str
    turns: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """A message of a conversation as people read it back."""

    role: str
    content: str
    turn_id: str
    at: datetime
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Sessions(Protocol):
    """Conversations, for people who look at them."""

    async def list(
        self, tenant_id: str, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[SessionSummary]:
        """Conversations of a tenant, the last used first."""
        ...

    async def find(self, tenant_id: str, session_id: str) -> ConversationKey | None:
        """The conversation by the name people know; the last used bot wins when several have one of that name."""
        ...

    async def messages(self, conversation: ConversationKey) -> Sequence[LoggedMessage]:
        """All of it in order: user, assistant (with its tool calls) and tool messages."""
        ...

    async def delete(self, conversation: ConversationKey) -> bool:
        """Delete it for good, with its turns, journal and artifact records; says whether there was one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A kept file with its bytes."""

    ref: ArtifactRef
    conversation: ConversationKey
    data: bytes


class ArtifactStore(Protocol):
    """Kept files: full results, charts, exports."""

    async def save(
        self, conversation: ConversationKey, name: str, media_type: str, data: bytes
    ) -> ArtifactRef:
        """Keep the bytes under a new handle; the name is for people and never a path."""
        ...

    async def load(self, tenant_id: str, artifact_id: str) -> Artifact | None:
        """The file, for its own tenant only."""
        ...

    async def delete_all(self, conversation: ConversationKey) -> int:
        """Delete the files of a conversation; says how many there were."""
        ...
