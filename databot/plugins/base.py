"""The contract of plugins: the entry-point groups, and what became of each entry point."""

from dataclasses import dataclass
from typing import Literal

PLUGIN_GROUPS = (
    "databot.tools",
    "databot.channels",
    "databot.providers",
    "databot.connectors",
    "databot.middleware",
    "databot.memory",
    "databot.loaders",
)
"""Every door through which an installed package can add something; databot's own parts use the same doors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """One entry point: `detail` says in one line why it is not loaded."""

    group: str
    name: str
    distribution: str
    version: str
    state: Literal["loaded", "failed", "disabled"]
    detail: str = ""
