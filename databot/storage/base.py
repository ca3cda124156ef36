"""The contracts of databot's own store: the inbox, the journal, the conversations and the artifacts.

The journal is the durable state of a conversation: a turn is replayed from it, not from memory. Everything here is
keyed by tenant and bot; nothing is ever looked up by an id alone. The store knows no model, no tool and no channel.

Long because the contracts of one store stand together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from databot.types.chat import ChatMessage
from databot.types.evidence import ArtifactRef
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage
from databot.types.support import NO_SUPPORT, CallNote, StepSupport

TurnState = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "dead"]
MANY_CLAIMS = 20
"""After so many claims of a turn each one counts as an attempt, whoever outlives it."""
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
    A turn that is `dead` ended every worker that tried it; an operator can have it tried again. `versions` are what the
    daemon that accepted it was: its program, its tables, its configuration, its prompts.
    """

    turn_id: str
    conversation: ConversationKey
    seq: int
    message: InboundMessage
    state: TurnState
    accepted_at: datetime
    reply: OutboundMessage | None = None
    error: Mapping[str, str] | None = None
    versions: Mapping[str, str] = field(default_factory=dict[str, str])


class Inbox(Protocol):
    """Accepted messages and what became of them."""

    async def ingest(
        self, turn_id: str, message: InboundMessage, *, most_waiting: int = 2**31
    ) -> Accepted:
        """Commit a message, creating its conversation if need be.

        The same (tenant, channel, message_id) gives the first turn again. Concurrent messages of one conversation get
        distinct, increasing `seq` (numbers may be left out). The same `turn_id` again is a duplicate of itself.

        Raises:
            RequestError: a name (tenant, bot, session, channel, message id) that no database can hold.
            Busy: `most_waiting` messages of this conversation wait already; nothing was kept.
            StorageUnavailable: it was not kept, or nobody knows; delivering it again with its `message_id` is safe.
        """
        ...

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        """One turn of this tenant."""
        ...

    async def open_turns(self, conversation: ConversationKey) -> Sequence[str]:
        """The ids of the conversation's turns without an end, oldest first."""
        ...

    async def open_by_tenant(self) -> Mapping[str, int]:
        """How many turns each tenant has that run or wait for a worker."""
        ...

    async def stop(
        self,
        tenant_id: str,
        turn_id: str,
        error: Mapping[str, str],
        *,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        """A person wants the turn stopped: one that nobody works on ends as cancelled, and that is said by `True`.

        What its channel is then to `deliver` goes with it. Of one that runs, the wish is kept: its worker is told when it renews its lease, and the next one at its claim.
        """
        ...

    async def dead(self, tenant_id: str | None = None, *, limit: int = 100) -> Sequence[TurnRecord]:
        """Dead letters, the last ones first; of all tenants for an operator of the daemon itself."""
        ...

    async def replay(self, tenant_id: str, turn_id: str) -> ConversationKey | None:
        """Let a dead turn be tried again, from its last row; gives its conversation, `None` when it is not dead."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """This worker's right to go on with a turn: everything it writes carries the `fence`.

    `attempt` counts the claims since the last one that ended well for the worker, this one included; `resumed` says that
    somebody had begun the turn before, and `stop_asked` that a person wants it stopped.
    """

    record: TurnRecord
    fence: int
    attempt: int = 1
    resumed: bool = False
    stop_asked: bool = False

    @property
    def turn_id(self) -> str:
        return self.record.turn_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What renewing a claim's lease gave: it may be `lost`, or a person may want the turn stopped."""

    lost: bool = False
    stop_asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Who claims, and for how long (seconds) a worker that is not heard of counts as alive."""

    name: str
    ttl_s: float = 10.0


class Claims(Protocol):
    """Who works on which conversation: at most one worker at a time, and never two that both write.

    A claim raises the fence of its conversation. Every write that carries an older one raises `ClaimLost`.
    """

    async def claim(self, conversation: ConversationKey, *, certain: bool = True) -> Claim | None:
        """Take the conversation and begin its earliest turn that is not waiting for a person.

        `None` when there is no such turn, or another worker has it. With `certain` the attempt is on the disk before
        this returns; without, it is there before the next write is.
        """
        ...

    async def settle(
        self,
        claim: Claim,
        state: TurnState,
        *,
        steps: Sequence["Step"] = (),
        reply: OutboundMessage | None = None,
        error: Mapping[str, str] | None = None,
        deliver: OutboundMessage | None = None,
    ) -> bool:
        """End the turn and let go of its conversation, in one transaction; says whether another of its turns waits.

        Its last steps go with it, its state, reply or error, and what its channel is to `deliver`.
        The first end stands: settling a turn that this claim has ended changes nothing.

        Raises:
            ClaimLost: somebody else has claimed or ended it since.
            NotFound: it was deleted meanwhile.
        """
        ...

    async def hold(self, claim: Claim, approvals: Sequence["ApprovalRequest"]) -> bool:
        """Let the turn wait for a person, on the disk and without a worker; returns and raises as `settle`.

        One that was stopped meanwhile asks nobody: it is left to the next claim, which is told so.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Give an unfinished turn back, to be taken by anybody at once; the attempt does not count.

        A claim that is lost already is let go of silently.
        """
        ...

    async def outlived(self, claim: Claim) -> None:
        """The claim was lost, and not because its worker died: the attempt does not count against the turn.

        Up to `MANY_CLAIMS`: a message that keeps every worker busy until its lease is over is given up as well.
        """
        ...

    async def renew(self, claims: Sequence[Claim]) -> Sequence[Renewal]:
        """Prolong the leases; what became of each, in order."""
        ...

    async def stranded(
        self, older_than_s: float, *, limit: int = 1_000
    ) -> Sequence[ConversationKey]:
        """Conversations with turns accepted that long ago which wait for a worker, and none is alive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A tool call that needs a person's permission; `arguments` are the model's, as JSON text.

    `digest` binds the decision to this tool and these arguments.
    """

    id: str
    call_id: str
    tool: str
    arguments: str
    digest: str
    expires_at: datetime


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
    """What was said and done in a conversation, append-only. Every write carries the fence of its claim."""

    async def append(self, claim: Claim, step: Step) -> None:
        """Add a step. The same (turn_id, step) again is ignored: the first one stands.

        Raises:
            ClaimLost: somebody else has claimed or ended the turn since.
            NotFound: it was deleted meanwhile.
        """
        ...

    async def note(self, claim: Claim, note: CallNote) -> None:
        """Keep a note on a call; the first one of each kind stands. Raises as `append`."""
        ...

    async def history(self, conversation: ConversationKey, turns: int) -> Sequence[ChatMessage]:
        """The messages of the last `turns` finished turns, oldest first: each person's message, then the turn's steps.

        A failed or cancelled turn keeps the person's message and what was journaled, with every tool call answered.
        """
        ...

    async def steps(self, turn_id: str) -> Sequence[Step]:
        """The steps of one turn, in order."""
        ...

    async def notes(self, turn_id: str) -> Sequence[CallNote]:
        """The notes on one turn's calls, in order of their steps; of each call the intent first."""
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
