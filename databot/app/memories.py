"""Builds what remembers: the conversation memory the configuration names, and the loaders that read documents."""

import logging
from collections.abc import Callable
from typing import cast

from databot.config.settings import Settings
from databot.memory.base import ConversationMemory
from databot.plugins.loader import Plugins
from databot.rag.base import Loader
from databot.storage.base import Journal
from databot.types.errors import ConfigError

log = logging.getLogger(__name__)
MakeMemory = Callable[[Journal, int], ConversationMemory]


def build_memory(settings: Settings, plugins: Plugins, journal: Journal) -> ConversationMemory:
    """What prompts are told of earlier turns. Raises `ConfigError` for a strategy that is not installed."""
    return memory_strategy(settings, plugins)(journal, settings.agent.history_turns)


def memory_strategy(settings: Settings, plugins: Plugins) -> MakeMemory:
    """The configured one. Raises `ConfigError`."""
    strategy = settings.memory.strategy
    kind = plugins.get("databot.memory", strategy)
    if kind is None:
        known = ", ".join(plugins.names("databot.memory"))
        raise ConfigError(
            f"memory.strategy: there is no {strategy!r}", hint=f"the strategies are: {known}"
        )
    return cast("MakeMemory", kind)


def build_loaders(plugins: Plugins) -> tuple[Loader, ...]:
    """The loaders that plugins add to the built-in ones for Markdown and text; a broken one is left out."""
    loaders: list[Loader] = []
    for name, kind in plugins.classes("databot.loaders").items():
        try:
            loaders.append(cast("Loader", kind()))
        except Exception:  # boundary: plugin construction
            log.warning("the loader %s could not be built and is left out", name, exc_info=True)
    return tuple(loaders)
