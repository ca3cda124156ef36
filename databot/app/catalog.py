"""What is wired, for the gateway and the command line."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from databot.app.models import ModelChoice
from databot.app.tenants import BotParts, Tenants
from databot.channels.hub import ChannelHub
from databot.connectors.base import Connectors, HealthState
from databot.dispatch.base import Dispatch
from databot.gateway.base import AgentInfo, BotInfo, ComponentStatus, ToolInfo
from databot.plugins.base import PluginStatus
from databot.plugins.loader import Plugins
from databot.rag.build import RAG
from databot.storage.open import Store
from databot.types.errors import DatabotError, describe
from databot.types.messages import DEFAULT_TENANT

LOOK_S = 5.0
"""Longest look at one component: one that hangs is told as not ready, and holds none of the others up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The parts that all tenants share."""

    hub: ChannelHub
    plugins: Plugins
    connectors: Connectors
    store: Store
    dispatch: Dispatch
    rag: RAG | None
    choice: ModelChoice


class AppCatalog:
    """Implements `Catalog` over the built parts."""

    def __init__(self, bots: Mapping[str, BotParts], wired: Wired) -> None:
        self._tenants = Tenants(bots, wired.connectors)
        self._wired = wired

    def agents(self, tenant_id: str) -> Sequence[AgentInfo]:
        return self._tenants.view(tenant_id).agents

    def tools(self, tenant_id: str) -> Sequence[ToolInfo]:
        return self._tenants.view(tenant_id).tools

    def connectors(self, tenant_id: str) -> Connectors:
        return self._tenants.view(tenant_id).connectors

    def channels(self) -> Sequence[ComponentStatus]:
        return [
            ComponentStatus(
                name=f"channel {status.name}",
                ready=status.state == "running",
                detail=status.detail or status.state,
                required=False,
            )
            for status in self._wired.hub.statuses()
        ]

    def plugins(self) -> Sequence[PluginStatus]:
        return self._wired.plugins.statuses()

    def bots(self, tenant_id: str) -> Sequence[BotInfo]:
        return [
            BotInfo(id=bot_id, name=parts.section.name, tenant_id=tenant_id)
            for bot_id, parts in self._tenants.view(tenant_id).bots.items()
        ]

    def forcible(self, tenant_id: str) -> Mapping[str, frozenset[str]]:
        """The tenant's bots, each with the agents a person can force."""
        return self._tenants.view(tenant_id).forcible

    async def components(self) -> Sequence[ComponentStatus]:
        looks = (self._storage(), self._dispatch(), self._retrieval(), self._connector_statuses())
        storage, dispatch, retrieval, connectors = await asyncio.gather(*looks)
        model = ComponentStatus(name="model", ready=True, detail=self._wired.choice.line())
        wired = [*self.channels(), *self._failed_plugins()]
        return [*storage, *dispatch, model, *retrieval, *connectors, *wired]

    async def _storage(self) -> Sequence[ComponentStatus]:
        async def look() -> Sequence[ComponentStatus]:
            return [
                ComponentStatus(name="storage", ready=True, detail=await self._wired.store.check())
            ]

        return await bounded("storage", look(), required=True)

    async def _dispatch(self) -> Sequence[ComponentStatus]:
        return await look_at_dispatch(self._wired.dispatch)

    async def _connector_statuses(self) -> Sequence[ComponentStatus]:
        """The registry bounds the look at each of them."""
        return [
            ComponentStatus(
                name=f"connector {status.name}",
                ready=status.health.state is HealthState.OK,
                detail=status.health.detail or status.health.state.value,
                required=False,
                tenants=self._tenants.that_reach(status.name),
            )
            for status in await self._wired.connectors.statuses()
        ]

    async def _retrieval(self) -> Sequence[ComponentStatus]:
        rag = self._wired.rag
        if rag is None:
            return []

        async def look() -> Sequence[ComponentStatus]:
            return [
                ComponentStatus(
                    name=f"retrieval: {part.name}",
                    ready=part.state == "ok",
                    detail=part.detail,
                    required=False,
                )
                for part in await rag.status(DEFAULT_TENANT)
            ]

        return await bounded("retrieval", look(), required=False)

    def _failed_plugins(self) -> list[ComponentStatus]:
        return [
            ComponentStatus(
                name=f"plugin {status.group}:{status.name}",
                ready=False,
                detail=status.detail,
                required=False,
            )
            for status in self._wired.plugins.statuses()
            if status.state == "failed"
        ]


async def look_at_dispatch(dispatch: Dispatch) -> Sequence[ComponentStatus]:
    """Whether the engine between replicas answers. Never required: nothing is lost without it."""

    async def look() -> Sequence[ComponentStatus]:
        detail = await dispatch.check()
        return [ComponentStatus(name="dispatch", ready=True, detail=detail, required=False)]

    return await bounded("dispatch", look(), required=False)


async def bounded(
    name: str, look: Awaitable[Sequence[ComponentStatus]], *, required: bool
) -> Sequence[ComponentStatus]:
    """What the look found; one that fails or takes too long has found the component not ready."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await look
    except DatabotError as error:
        detail = describe(error)
    except TimeoutError:
        detail = f"no answer within {LOOK_S:g} s"
    return [ComponentStatus(name=name, ready=False, detail=detail, required=required)]
