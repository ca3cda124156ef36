"""What the gateway is built from: the engine, the stores, and a catalog of what is wired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from databot.connectors.base import Connectors
from databot.core.base import Engine
from databot.jobs.base import Desk
from databot.plugins.base import PluginStatus
from databot.storage.base import ArtifactStore, Sessions, TurnRecord
from databot.tools.base import Approval, Verdict
from databot.types.chat import ToolSpec
from databot.types.messages import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfo:
    """A specialist: inactive while none of its tools exists."""

    name: str
    description: str
    active: bool
    tools: tuple[str, ...]
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolInfo:
    """A tool as wired: `effect` is read, idempotent or plain."""

    spec: ToolSpec
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStatus:
    """A part of the daemon; the daemon is ready when every `required` part is.

    `tenants` are those that may know of it; `None`: everybody.
    """

    name: str
    ready: bool
    detail: str = ""
    required: bool = True
    tenants: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotInfo:
    """A configured assistant."""

    id: str
    name: str
    tenant_id: str


class Catalog(Protocol):
    """What is wired, for people and programs that ask. A tenant is told of the parts its own bots have."""

    def agents(self, tenant_id: str) -> Sequence[AgentInfo]: ...

    def tools(self, tenant_id: str) -> Sequence[ToolInfo]: ...

    def connectors(self, tenant_id: str) -> Connectors: ...

    def channels(self) -> Sequence[ComponentStatus]: ...

    def plugins(self) -> Sequence[PluginStatus]: ...

    def bots(self, tenant_id: str) -> Sequence[BotInfo]: ...

    async def components(self) -> Sequence[ComponentStatus]:
        """Storage, model, retrieval, connectors and channels; each look is bounded to a few seconds."""
        ...


class ApprovalDesk(Protocol):
    """Where people decide on tool calls that wait for them."""

    async def pending(
        self, principal: Principal, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        """What waits in this person's tenant, the longest waiting first; of one turn, or of all."""
        ...

    async def decide(
        self, principal: Principal, approval_id: str, verdict: Verdict, *, note: str = ""
    ) -> Approval:
        """Decide, and let the turn go on.

        Raises `NotFound`, `Forbidden`, and `Conflict` when it was decided or expired before.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a figure; `suffix` tells the parts of a histogram apart: `_bucket`, `_sum`, `_count`."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What is counted under one name. The label `tenant` is only shown to those who operate the daemon."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    samples: Sequence[Sample]


class Figures(Protocol):
    """What is counted beside requests."""

    async def read(self) -> Sequence[Figure]:
        """The figures now, within a few seconds. Never fails: what cannot be had is left out."""
        ...


class Turns(Protocol):
    """Turns as stored: the part of the inbox that doors read."""

    async def turn(self, tenant_id: str, turn_id: str) -> TurnRecord | None:
        """One turn of this tenant."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayServices:
    """Everything the routes use."""

    engine: Engine
    inbox: Turns
    sessions: Sessions
    artifacts: ArtifactStore
    catalog: Catalog
    approvals: ApprovalDesk
    desk: Desk | None = None
    """Background work; without it there are no routes for it."""
    figures: Figures | None = None
    """What `/metrics` tells besides the gateway's own counters."""
