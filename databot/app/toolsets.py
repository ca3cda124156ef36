"""Builds the tools of one bot: what is installed and has what it needs, behind the guards every call goes through."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from databot.config.sections import BotSection
from databot.config.settings import Settings
from databot.connectors.base import BaseConnector, Connectors, ConnectorStatus, SqlSource
from databot.plugins.loader import Plugins
from databot.tools.base import Approver, BaseTool, ToolServices, Toolset
from databot.tools.guards import Allowed, ApprovalRequired, Bounded, Timed
from databot.tools.registry import ToolRegistry
from databot.types.errors import ConfigError, ConnectorError, shorten

log = logging.getLogger(__name__)


class ConnectorView:
    """The connectors a bot may use; the others do not exist for it."""

    def __init__(self, inner: Connectors, names: Sequence[str]) -> None:
        self._inner = inner
        self._names = frozenset(names)

    def names(self) -> Sequence[str]:
        return [name for name in self._inner.names() if name in self._names]

    def get(self, name: str) -> BaseConnector:
        if name not in self._names:
            known = ", ".join(self.names()) or "none"
            raise ConnectorError(
                f"there is no connector {name!r}; the connectors are: {known}", kind="not_found"
            )
        return self._inner.get(name)

    def sql(self) -> Mapping[str, SqlSource]:
        return {name: item for name, item in self._inner.sql().items() if name in self._names}

    async def statuses(self) -> Sequence[ConnectorStatus]:
        return [item for item in await self._inner.statuses() if item.name in self._names]


def view_for(bot: BotSection, connectors: Connectors) -> Connectors:
    """All connectors, or those the bot names."""
    return ConnectorView(connectors, bot.connectors) if bot.connectors else connectors


def check_connector_names(settings: Settings) -> None:
    """Refuse a bot's connector that is not configured. Raises `ConfigError`."""
    known = settings.connectors
    for bot_id, bot in settings.bots.items():
        for name in bot.connectors:
            if name not in known:
                raise ConfigError(
                    f"bots.{bot_id}.connectors: there is no connector {shorten(name)!r}",
                    hint=f"the connectors are: {', '.join(known) or 'none'}",
                )


def check_tool_names(settings: Settings, plugins: Plugins) -> None:
    """Refuse a misspelt tool: an approval asked for a name that is none would protect nothing.

    A tool that is installed and has not what it needs is no mistake. Raises `ConfigError`.
    """
    known = plugins.names("databot.tools")
    if any(status.state == "failed" for status in plugins.statuses(["databot.tools"])):
        return  # the name may be the broken plugin's: databot goes on without it
    for path, names in named_tools(settings):
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{path}: there is no tool {shorten(name)!r}",
                    hint=f"the tools are: {', '.join(sorted(known))}",
                )


def named_tools(settings: Settings) -> Iterator[tuple[str, Sequence[str]]]:
    """Every list of tools in the configuration, with its path."""
    yield "agent.approval_required", settings.agent.approval_required
    yield "tools.enabled", settings.tools.enabled
    yield "tools.options", list(settings.tools.options)
    for name, bot in settings.bots.items():
        yield f"bots.{name}.tools", bot.tools
    for name, specialist in settings.agents.specialists.items():
        yield f"agents.specialists.{name}.tools", specialist.tools or ()


def build_tools(
    settings: Settings,
    bot: BotSection,
    plugins: Plugins,
    services: ToolServices,
    approver: Approver,
) -> Toolset:
    """The bot's guarded tools. All bots' tools have the same services, but for the connectors.

    `approver` is asked about calls that need a person.
    """
    registry = ToolRegistry()
    services = replace(services, connectors=view_for(bot, services.connectors))
    classes = cast("Mapping[str, type[BaseTool]]", plugins.classes("databot.tools"))
    options: Mapping[str, Mapping[str, Any]] = settings.tools.options
    absent = registry.load_plugins(classes, services, options)
    for name, why in absent.items():
        log.debug("the tool %s is not there: %s", name, why)
    wanted = wanted_tools(settings, bot, registry)
    approval = frozenset(settings.agent.approval_required)
    bounded = Bounded(Timed(registry, registry.timeouts()))
    return Allowed(ApprovalRequired(bounded, approval, approver), wanted)


def wanted_tools(settings: Settings, bot: BotSection, registry: ToolRegistry) -> frozenset[str]:
    """The existing tools that the configuration and the bot both want."""
    wanted = frozenset(registry.names())
    for names in (settings.tools.enabled, bot.tools):
        if names:
            wanted &= frozenset(names)
    return wanted
