"""What happens during a turn, as past-tense facts.

Every turn ends with exactly one `TurnFinished` or `TurnFailed`, on every exit path. `name` is the event's name on every
wire (SSE, WebSocket, `--json`), and `payload(event)` its JSON data; both are contracts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar

from databot.types.evidence import ArtifactRef, Evidence
from databot.types.messages import OutboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """A worker has begun to answer."""

    name: ClassVar[str] = "turn_started"
    turn_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSelected:
    """The router chose who answers; `reason` says by what rule."""

    name: ClassVar[str] = "agent_selected"
    turn_id: str
    agent: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the reply. A reader that falls behind may miss some: the whole text follows in `MessageCompleted`."""

    name: ClassVar[str] = "text_delta"
    turn_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    """A tool is running."""

    name: ClassVar[str] = "tool_started"
    turn_id: str
    call_id: str
    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    """A tool is done: `ok` is false when the model was given an error instead of a result."""

    name: ClassVar[str] = "tool_finished"
    turn_id: str
    call_id: str
    tool: str
    ok: bool
    ms: float
    summary: str
    evidence: tuple[Evidence, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested:
    """A tool call waits for a person's decision; the card is built by code from the real tool and arguments."""

    name: ClassVar[str] = "approval_requested"
    turn_id: str
    approval_id: str
    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCompleted:
    """The whole reply with its evidence."""

    name: ClassVar[str] = "message"
    turn_id: str
    message: OutboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRestarted:
    """A worker took the turn over after a crash: discard the partial text shown so far."""

    name: ClassVar[str] = "turn_restarted"
    turn_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished:
    """Terminal: the turn was answered."""

    name: ClassVar[str] = "turn_finished"
    turn_id: str
    message: OutboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed:
    """Terminal: the turn was not answered. `error` is the error's type, `reason` the line a person may see."""

    name: ClassVar[str] = "turn_failed"
    turn_id: str
    session_id: str
    error: str
    reason: str


StreamEvent = (
    TurnStarted
    | AgentSelected
    | TextDelta
    | ToolStarted
    | ToolFinished
    | ApprovalRequested
    | MessageCompleted
    | TurnRestarted
    | TurnFinished
    | TurnFailed
)
TERMINAL = (TurnFinished, TurnFailed)


def payload(event: StreamEvent) -> dict[str, Any]:
    """The event's data as JSON-able values, the same on every wire."""
    if isinstance(event, TextDelta):
        return {"turn_id": event.turn_id, "text": event.text}
    if isinstance(event, MessageCompleted | TurnFinished):
        return reply_payload(event.message)
    if isinstance(event, TurnFailed):
        return {
            "turn_id": event.turn_id,
            "session_id": event.session_id,
            "error": {"type": event.error, "message": event.reason},
        }
    data = shallow(event)
    if isinstance(event, ToolFinished):
        data["evidence"] = [shallow(item) for item in event.evidence]
        data["artifacts"] = [shallow(item) for item in event.artifacts]
    return data


def shallow(value: object) -> dict[str, Any]:
    """A value's fields by name, uncopied: every reply is spelled out twice, and deep copies would cost more than it."""
    return {name: getattr(value, name) for name in field_names(type(value))}


@cache
def field_names(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(field.name for field in fields(kind))


def reply_payload(message: OutboundMessage) -> dict[str, Any]:
    """A reply as the HTTP contract spells it."""
    return {
        "reply": message.content,
        "session_id": message.session_id,
        "turn_id": message.turn_id,
        "agent": message.agent,
        "finish_reason": message.finish_reason,
        "tools": [shallow(tool) for tool in message.tools],
        "citations": [shallow(citation) for citation in message.citations],
        "evidence": [shallow(item) for item in message.evidence],
        "artifacts": [shallow(item) for item in message.artifacts],
        "notes": list(message.notes),
        "usage": shallow(message.usage),
    }
