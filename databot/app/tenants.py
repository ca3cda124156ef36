"""What each tenant can reach: its bots, and the parts of all of them taken together. Made once, at the start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from databot.app.agents import BotAgents
from databot.app.toolsets import ConnectorView
from databot.config.sections import ApiKey, BotSection
from databot.config.settings import Settings
from databot.connectors.base import Connectors
from databot.gateway.base import AgentInfo, ToolInfo
from databot.tools.base import Toolset
from databot.types.messages import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class BotParts:
    """One bot as built."""

    section: BotSection
    agents: tuple[AgentInfo, ...]
    tools: Toolset


def bot_parts(
    settings: Settings, agents: Mapping[str, BotAgents], tools: Mapping[str, Toolset]
) -> Mapping[str, BotParts]:
    """The configured bots, each with what was built for it."""
    return {
        bot_id: BotParts(section=bot, agents=agents[bot_id].infos, tools=tools[bot_id])
        for bot_id, bot in settings.bots.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """`forcible` has the agents a person can force, by bot."""

    bots: Mapping[str, BotParts]
    forcible: Mapping[str, frozenset[str]]
    agents: tuple[AgentInfo, ...]
    tools: tuple[ToolInfo, ...]
    connectors: Connectors


class Tenants:
    """The views of all tenants; those that no bot names share one."""

    def __init__(self, bots: Mapping[str, BotParts], connectors: Connectors) -> None:
        named = {parts.section.tenant for parts in bots.values() if parts.section.tenant}
        self._everyones = view_of(None, bots, connectors)
        self._views = {tenant: view_of(tenant, bots, connectors) for tenant in named}

    def view(self, tenant_id: str) -> TenantView:
        """What the tenant can reach."""
        return self._views.get(tenant_id, self._everyones)

    def that_reach(self, connector: str) -> frozenset[str] | None:
        """The tenants with a bot that may use the connector; `None`: every tenant."""
        if connector in self._everyones.connectors.names():
            return None
        views = self._views.items()
        return frozenset(tenant for tenant, view in views if connector in view.connectors.names())


def view_of(
    tenant_id: str | None, bots: Mapping[str, BotParts], connectors: Connectors
) -> TenantView:
    """The view of a tenant, or of those that have only the bots that are everybody's."""
    mine = {
        bot_id: parts for bot_id, parts in bots.items() if parts.section.tenant in {None, tenant_id}
    }
    return TenantView(
        bots=mine,
        forcible={
            bot_id: frozenset(agent.name for agent in parts.agents if agent.active)
            for bot_id, parts in mine.items()
        },
        agents=joined_agents(parts.agents for parts in mine.values()),
        tools=joined_tools(parts.tools for parts in mine.values()),
        connectors=joined_connectors([parts.section for parts in mine.values()], connectors),
    )


def joined_agents(lists: Iterable[Iterable[AgentInfo]]) -> tuple[AgentInfo, ...]:
    """Every agent once: active where it is in any of the bots, with the tools it has in any of them."""
    found: dict[str, AgentInfo] = {}
    for agent in (agent for agents in lists for agent in agents):
        known = found.setdefault(agent.name, agent)
        found[agent.name] = replace(
            known,
            active=known.active or agent.active,
            tools=tuple(sorted({*known.tools, *agent.tools})),
        )
    return tuple(found.values())


def joined_tools(toolsets: Iterable[Toolset]) -> tuple[ToolInfo, ...]:
    """Every tool once."""
    found: dict[str, ToolInfo] = {}
    for tools in toolsets:
        for spec in tools.specs():
            info = ToolInfo(spec=spec, effect=tools.effect(spec.name).value)
            found.setdefault(spec.name, info)
    return tuple(found.values())


def joined_connectors(bots: Iterable[BotSection], connectors: Connectors) -> Connectors:
    """The connectors that any of the bots may use."""
    named: set[str] = set()
    for bot in bots:
        if not bot.connectors:
            return connectors
        named.update(bot.connectors)
    return ConnectorView(connectors, tuple(named))


def tenants_of(settings: Settings) -> tuple[str, ...]:
    """Every tenant the configuration names."""
    keys = [key.tenant for key in settings.auth.api_keys if isinstance(key, ApiKey)]
    bots = [bot.tenant for bot in settings.bots.values() if bot.tenant]
    return tuple(dict.fromkeys([DEFAULT_TENANT, *keys, *bots]))
