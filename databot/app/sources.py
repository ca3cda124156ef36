"""Builds what answers come from: the installed plugins, and the connectors among them that are configured."""

from collections.abc import Mapping
from typing import cast

from databot.channels.base import BaseChannel
from databot.config.settings import Settings
from databot.connectors.base import BaseConnector
from databot.connectors.registry import ConnectorRegistry
from databot.plugins.loader import Plugins, load_plugins
from databot.providers.base import LLMProvider
from databot.tools.base import BaseTool
from databot.types.errors import ConfigError

BASES: Mapping[str, type] = {
    "databot.tools": BaseTool,
    "databot.channels": BaseChannel,
    "databot.providers": LLMProvider,
    "databot.connectors": BaseConnector,
}
"""What an entry of each group must be a subclass of."""


def load_all_plugins(settings: Settings) -> Plugins:
    """Every installed entry point the configuration allows; none is imported yet."""
    section = settings.plugins
    return load_plugins(BASES, allow=section.allow, disable=section.disable)


def build_connectors(settings: Settings, plugins: Plugins) -> ConnectorRegistry:
    """The configured connectors; one whose client or plugin is missing or broken is listed as down.

    Raises `ConfigError` for a type, key or value that no installed connector takes.
    """
    used = {str(options.get("type", "")) for options in settings.connectors.values()}
    known = plugins.names("databot.connectors")
    kinds = {name: plugins.get("databot.connectors", name) for name in known if name in used}
    found = {name: kind for name, kind in kinds.items() if kind is not None}
    for name in known:
        found.setdefault(name, BaseConnector)
    registry = ConnectorRegistry.from_options(
        settings.connectors, cast("Mapping[str, type[BaseConnector]]", found)
    )
    broken = kinds.keys() - plugins.names("databot.connectors")
    mistakes = [entry.problem for entry in registry.mistakes() if entry.type not in broken]
    if mistakes:
        raise ConfigError("; ".join(mistakes))
    return registry
