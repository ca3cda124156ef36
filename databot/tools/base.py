"""The contract of tools: callables the model may ask for, and sets of them.

A tool knows nothing of the model. A `Toolset` lists and calls tools; guards are toolsets that wrap a toolset.
"""

import asyncio
import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict

from databot.connectors.base import Connectors
from databot.memory.base import KeyValueMemory
from databot.storage.base import ArtifactStore
from databot.types.chat import ToolCall, ToolSpec
from databot.types.clock import Clock, SystemClock
from databot.types.errors import DatabotError
from databot.types.evidence import ArtifactRef, Evidence
from databot.types.messages import ConversationKey, Principal

PROCESSES = 2
"""Each takes a core and some 100 MB while it runs."""


class Effect(enum.Enum):
    """What happens when a call is made twice (see the durability page)."""

    READ = "read"
    """Changes nothing: may be repeated and run beside other reads."""
    IDEMPOTENT = "idempotent"
    """Changes something once per `idempotency_key`, however often it is called."""
    PLAIN = "plain"
    """Changes something each time: never repeated by us."""


class NoArguments(BaseModel):
    """For tools that take nothing."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Who calls, for which conversation and turn. Nothing in it comes from the model.

    `turn_id` is empty for a call outside any turn, which cannot wait for anybody.
    """

    conversation: ConversationKey
    principal: Principal
    turn_id: str
    call_id: str

    @property
    def idempotency_key(self) -> str:
        """The key handed to the far side by tools with an idempotent effect."""
        return f"{self.conversation.session_id}:{self.turn_id}:{self.call_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a call gave.

    `content` is what the model reads, already bounded; `summary` one short line for people; `figures` every number of
    the whole result that an answer may quote (the number check uses it).
    """

    content: str
    ok: bool = True
    summary: str = ""
    evidence: tuple[Evidence, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    figures: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServices:
    """What a tool may be built from; `options` is the tool's own part of the `tools:` section, unvalidated.

    `clock` says when a look at a data system was taken; `processes` are the places for processes that tools start beside
    the daemon, over all bots: a tool holds one while its process runs.
    """

    connectors: Connectors
    artifacts: ArtifactStore
    memory: KeyValueMemory
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    clock: Clock = field(default_factory=SystemClock)
    processes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROCESSES))


class BaseTool(ABC):
    """One callable for the model. Subclass it, name it in the `databot.tools` entry-point group, done.

    `Arguments` is a pydantic model: its JSON Schema is shown to the model and its validation guards `run`.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    Arguments: ClassVar[type[BaseModel]] = NoArguments
    effect: ClassVar[Effect] = Effect.PLAIN
    timeout_s: float = 60.0

    @classmethod
    def create(cls, services: ToolServices) -> Self | None:
        """Build the tool, or return `None` when what it needs is not configured."""
        del services
        return cls()

    @abstractmethod
    async def run(self, arguments: Any, context: ToolContext) -> ToolResult:  # noqa: ANN401 - an instance of Arguments
        """Do the work. Raise a `ToolError` or `ConnectorError` that says what to try instead."""


class ApprovalNeeded(DatabotError):
    """A person must decide on the call first, and has not yet: it is for the turn to wait, not for the model to know."""

    type = "approval_needed"


class Toolset(Protocol):
    """Lists tools and calls them; guards wrap one and are one."""

    def specs(self) -> Sequence[ToolSpec]:
        """The tools as shown to the model, in a stable order."""
        ...

    def effect(self, name: str) -> Effect:
        """The effect class of a tool; `PLAIN` for a name that does not exist."""
        ...

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        """Refuse a call that may not be made (now), without making it; `call` refuses it just the same.

        Asked before it is written down that the call is about to be made. Raises `ToolError`, or `ApprovalNeeded`.
        """
        ...

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        """Run one call. Every failure the model can act on is a `ToolError`. Raises `ApprovalNeeded`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's word on one call; `reason` is shown to the model when it is a refusal."""

    approved: bool
    reason: str = ""


class Approver(Protocol):
    """Asks a person whether a call may run. An approver that fails has not approved.

    One that has to wait for the person raises `ApprovalNeeded`, and is asked again when there is a decision; so is one
    whose store is away, which raises `StorageUnavailable`.
    """

    async def decide(self, call: ToolCall, context: ToolContext) -> Decision:
        """The decision on exactly this call: its tool and its arguments."""
        ...


ApprovalState = Literal["pending", "approved", "denied", "expired"]
Verdict = Literal["approve", "deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A call that a person was asked about, and what came of it.

    `arguments` are the model's, as JSON text; `digest` binds the decision to them and to the tool. One that nobody
    decided on until `expires_at` is `expired`.
    """

    id: str
    conversation: ConversationKey
    turn_id: str
    call_id: str
    tool: str
    arguments: str
    digest: str
    state: ApprovalState
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    note: str = ""


class Approvals(Protocol):
    """What people were asked, kept until long after they answered. The first decision stands; there is no second."""

    async def pending(
        self, tenant_id: str, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        """Those that wait for a decision, the longest waiting first; of one turn, or of all."""
        ...

    async def find(self, tenant_id: str, approval_id: str) -> Approval | None:
        """One of this tenant's."""
        ...

    async def decide(
        self, tenant_id: str, approval_id: str, verdict: Verdict, *, by: str, note: str = ""
    ) -> Approval | None:
        """Decide, once, and on the disk; `None` when there is none, or it was decided or expired before.

        When no other call of its turn waits for a person, the turn waits for a worker from now on.
        """
        ...

    async def asked(self, tenant_id: str, turn_id: str, call_id: str) -> Approval | None:
        """What was asked about this call of this turn."""
        ...

    async def expire(self, *, limit: int = 100) -> Sequence[ConversationKey]:
        """End what waits for longer than it may; gives the conversations whose turns now wait for a worker."""
        ...
