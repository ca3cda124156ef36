"""What comes in, and what goes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from databot.types.chat import Usage
from databot.types.evidence import ArtifactRef, Citation, Evidence

DEFAULT_TENANT = "default"
DEFAULT_BOT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling: a person, an API key or a system job, already verified at the edge."""

    id: str
    tenant_id: str = DEFAULT_TENANT
    roles: frozenset[str] = frozenset()
    display_name: str = ""


LOCAL_PRINCIPAL = Principal(id="local", roles=frozenset({"owner"}), display_name="local user")
"""The person at the terminal that runs databot itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a message; small text files are given to the model, others are named to it."""

    name: str
    media_type: str = "application/octet-stream"
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationKey:
    """Names one conversation: every store, cache and lane is keyed by all three parts."""

    tenant_id: str
    bot_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """One message of a person, as a channel hands it to the bus.

    `chat_id` names the conversation and is unique within (tenant, bot); `thread_id` parts it further. `message_id` is
    the platform's own id: together with `channel` it is the key by which a redelivery is recognised. `agent` forces a
    specialist. `conversation` follows from the rest; it is asked for several times on a message's way, so it is made once.
    """

    channel: str
    chat_id: str
    sender_id: str
    content: str
    principal: Principal
    stream: bool = False
    thread_id: str | None = None
    message_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    tenant_id: str = DEFAULT_TENANT
    bot_id: str = DEFAULT_BOT
    agent: str | None = None
    conversation: ConversationKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        session_id = f"{self.chat_id}:{self.thread_id}" if self.thread_id else self.chat_id
        key = ConversationKey(tenant_id=self.tenant_id, bot_id=self.bot_id, session_id=session_id)
        object.__setattr__(self, "conversation", key)

    @property
    def session_id(self) -> str:
        """The name of the conversation: the chat, or the thread within it."""
        return self.conversation.session_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One inbound message and all that answers it; `attempt` counts the workers that began to."""

    id: str
    message: InboundMessage
    started_at: datetime
    attempt: int = 1

    @property
    def conversation(self) -> ConversationKey:
        return self.message.conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReport:
    """What a reply tells about one tool call: `args` as the model gave them, `ms` the time it took."""

    name: str
    args: Mapping[str, Any]
    ok: bool
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """A whole reply, with everything that supports it.

    `finish_reason` is one of completed, max_iterations_reached, duplicate_tool_calls_detected, truncated (the model's
    output limit), cancelled. `notes` are remarks by code, not by the model: an unsupported figure, retrieval that is
    degraded, a result that was cut.
    """

    channel: str
    chat_id: str
    content: str
    turn_id: str
    session_id: str
    agent: str = ""
    finish_reason: str = "completed"
    thread_id: str | None = None
    tenant_id: str = DEFAULT_TENANT
    bot_id: str = DEFAULT_BOT
    tools: tuple[ToolReport, ...] = ()
    citations: tuple[Citation, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    notes: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
