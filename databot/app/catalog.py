"""What is wired, for the gateway and the command line."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from databot.app.models import ModelChoice
from databot.channels.hub import ChannelHub
from databot.config.sections import BotSection
from databot.connectors.base import Connectors, HealthState
from databot.gateway.base import AgentInfo, BotInfo, ComponentStatus, ToolInfo
from databot.plugins.base import PluginStatus
from databot.plugins.loader import Plugins
from databot.rag.build import RAG
from databot.storage.open import Store
from databot.tools.base import Toolset
from databot.types.errors import DatabotError, describe
from databot.types.messages import DEFAULT_BOT, DEFAULT_TENANT

LOOK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCatalog:
    """Implements `Catalog` over the built parts."""

    bot_sections: Mapping[str, BotSection]
    agent_infos: Mapping[str, tuple[AgentInfo, ...]]
    toolset: Toolset
    hub: ChannelHub
    found: Plugins
    connectors: Connectors
    store: Store
    rag: RAG | None
    choice: ModelChoice

    def agents(self) -> Sequence[AgentInfo]:
        first = DEFAULT_BOT if DEFAULT_BOT in self.agent_infos else next(iter(self.agent_infos))
        return self.agent_infos[first]

    def tools(self) -> Sequence[ToolInfo]:
        return [
            ToolInfo(spec=spec, effect=self.toolset.effect(spec.name).value)
            for spec in self.toolset.specs()
        ]

    def channels(self) -> Sequence[ComponentStatus]:
        return [
            ComponentStatus(
                name=f"channel {status.name}",
                ready=status.state == "running",
                detail=status.detail or status.state,
                required=False,
            )
            for status in self.hub.statuses()
        ]

    def plugins(self) -> Sequence[PluginStatus]:
        return self.found.statuses()

    def bots(self, tenant_id: str) -> Sequence[BotInfo]:
        return [
            BotInfo(id=bot_id, name=section.name, tenant_id=tenant_id)
            for bot_id, section in self.bot_sections.items()
            if section.tenant in {None, tenant_id}
        ]

    def forcible(self, tenant_id: str) -> Mapping[str, frozenset[str]]:
        """The tenant's bots, each with the agents a person can force."""
        return {
            bot.id: frozenset(info.name for info in self.agent_infos[bot.id] if info.active)
            for bot in self.bots(tenant_id)
        }

    async def components(self) -> Sequence[ComponentStatus]:
        storage, connectors, retrieval = await asyncio.gather(
            self._storage(), self._connectors(), self._retrieval()
        )
        model = ComponentStatus(name="model", ready=True, detail=self.choice.line())
        return [storage, model, *retrieval, *connectors, *self.channels(), *self._failed_plugins()]

    async def _storage(self) -> ComponentStatus:
        try:
            async with asyncio.timeout(LOOK_S):
                return ComponentStatus(name="storage", ready=True, detail=await self.store.check())
        except DatabotError as error:
            return ComponentStatus(name="storage", ready=False, detail=describe(error))
        except TimeoutError:
            detail = f"no answer within {LOOK_S:g} s"
            return ComponentStatus(name="storage", ready=False, detail=detail)

    async def _connectors(self) -> list[ComponentStatus]:
        return [
            ComponentStatus(
                name=f"connector {status.name}",
                ready=status.health.state is HealthState.OK,
                detail=status.health.detail or status.health.state.value,
                required=False,
            )
            for status in await self.connectors.statuses()
        ]

    async def _retrieval(self) -> list[ComponentStatus]:
        if self.rag is None:
            return []
        parts = await self.rag.status(DEFAULT_TENANT)
        return [
            ComponentStatus(
                name=f"retrieval: {part.name}",
                ready=part.state == "ok",
                detail=part.detail,
                required=False,
            )
            for part in parts
        ]

    def _failed_plugins(self) -> list[ComponentStatus]:
        return [
            ComponentStatus(
                name=f"plugin {status.group}:{status.name}",
                ready=False,
                detail=status.detail,
                required=False,
            )
            for status in self.found.statuses()
            if status.state == "failed"
        ]
