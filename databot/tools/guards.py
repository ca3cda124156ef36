"""Guards: toolsets that limit the toolset they wrap.

Each says one thing and each is a toolset itself, so they stack in any order. None knows what a tool does.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from databot.tools.base import (
    ApprovalNeeded,
    Approver,
    Decision,
    Effect,
    ToolContext,
    ToolResult,
    Toolset,
)
from databot.types.chat import ToolCall, ToolSpec
from databot.types.errors import (
    StorageUnavailable,
    ToolError,
    ToolNotAllowed,
    ToolNotFound,
    ToolTimeout,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A toolset narrowed to named tools, in the listing and at the call."""

    inner: Toolset
    names: frozenset[str]

    def specs(self) -> Sequence[ToolSpec]:
        return tuple(spec for spec in self.inner.specs() if spec.name in self.names)

    def effect(self, name: str) -> Effect:
        return self.inner.effect(name) if name in self.names else Effect.PLAIN

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        self._require(call)
        await self.inner.permit(call, context)

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        self._require(call)
        return await self.inner.call(call, context)

    def _require(self, call: ToolCall) -> None:
        existing = [spec.name for spec in self.inner.specs()]
        if call.name not in existing:
            raise ToolNotFound(call.name, [name for name in existing if name in self.names])
        if call.name not in self.names:
            raise ToolNotAllowed(call.name)


@dataclass(frozen=True, slots=True)
class Timed:
    """Every call ends in time: at its limit the call is cancelled, which ends the work in the data system too."""

    inner: Toolset
    limits_s: Mapping[str, float]
    default_s: float = 60.0

    def specs(self) -> Sequence[ToolSpec]:
        return self.inner.specs()

    def effect(self, name: str) -> Effect:
        return self.inner.effect(name)

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        await self.inner.permit(call, context)

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        limit = self.limits_s.get(call.name, self.default_s)
        scope = asyncio.timeout(limit)
        try:
            async with scope:
                return await self.inner.call(call, context)
        except (TimeoutError, ToolError) as error:
            # Inside, the cancellation may have come out as the data system's own error: it is still our time-out.
            if scope.expired():
                raise ToolTimeout(call.name, limit) from error
            raise


@dataclass(frozen=True, slots=True)
class DenyAll:
    """The approver where nobody can be asked."""

    async def decide(self, call: ToolCall, context: ToolContext) -> Decision:
        """No."""
        del call, context
        return Decision(
            approved=False,
            reason="it needs a person's approval, and nobody can be asked for it here",
        )


@dataclass(frozen=True, slots=True)
class ApprovalRequired:
    """Named tools run only when a person has approved this very call; a failing approver has not approved."""

    inner: Toolset
    names: frozenset[str]
    approver: Approver = field(default_factory=DenyAll)

    def specs(self) -> Sequence[ToolSpec]:
        return self.inner.specs()

    def effect(self, name: str) -> Effect:
        return self.inner.effect(name)

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        await self._require(call, context)
        await self.inner.permit(call, context)

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        await self._require(call, context)
        return await self.inner.call(call, context)

    async def _require(self, call: ToolCall, context: ToolContext) -> None:
        if call.name not in self.names:
            return
        decision = await self._decide(call, context)
        if decision.approved is not True:
            raise ToolNotAllowed(call.name, decision.reason or "a person refused it")

    async def _decide(self, call: ToolCall, context: ToolContext) -> Decision:
        try:
            return await self.approver.decide(call, context)
        except (ApprovalNeeded, StorageUnavailable):
            raise  # nothing is known yet: the turn waits, or is taken up again when the store is back
        except Exception:  # boundary: tool call (approval fails closed)
            log.exception("the approver failed; the call of %s is refused", call.name)
            return Decision(approved=False, reason="asking for approval failed")


@dataclass(frozen=True, slots=True)
class Bounded:
    """No single result is longer than `max_chars`; what is left out is told by code."""

    inner: Toolset
    max_chars: int = 32_000

    def specs(self) -> Sequence[ToolSpec]:
        return self.inner.specs()

    def effect(self, name: str) -> Effect:
        return self.inner.effect(name)

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        await self.inner.permit(call, context)

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        result = await self.inner.call(call, context)
        length = len(result.content)
        if length <= self.max_chars:
            return result
        notice = (
            f"\n[This result is incomplete: it has {length:,} characters and was cut to fit {self.max_chars:,}."
            " Ask for less, or for a summary.]"
        )
        kept = result.content[: max(0, self.max_chars - len(notice))]
        return replace(result, content=kept + notice)
