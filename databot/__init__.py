"""databot: an agent daemon for data teams.

The names below are the public face. They are loaded on first use, so that `import databot` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databot.app.build import build as build
    from databot.app.daemon import Databot as Databot
    from databot.channels.base import BaseChannel as BaseChannel
    from databot.config.settings import Settings as Settings
    from databot.connectors.base import BaseConnector as BaseConnector
    from databot.middleware.base import TurnMiddleware as TurnMiddleware
    from databot.providers.base import LLMProvider as LLMProvider
    from databot.tools.base import BaseTool as BaseTool
    from databot.tools.base import Effect as Effect
    from databot.tools.base import ToolContext as ToolContext
    from databot.tools.base import ToolResult as ToolResult
    from databot.types.errors import DatabotError as DatabotError
    from databot.types.errors import ToolError as ToolError
    from databot.types.messages import InboundMessage as InboundMessage
    from databot.types.messages import OutboundMessage as OutboundMessage
    from databot.types.messages import Principal as Principal

HOMES = {
    "BaseChannel": "databot.channels.base",
    "BaseConnector": "databot.connectors.base",
    "BaseTool": "databot.tools.base",
    "Databot": "databot.app.daemon",
    "DatabotError": "databot.types.errors",
    "Effect": "databot.tools.base",
    "InboundMessage": "databot.types.messages",
    "LLMProvider": "databot.providers.base",
    "OutboundMessage": "databot.types.messages",
    "Principal": "databot.types.messages",
    "Settings": "databot.config.settings",
    "ToolContext": "databot.tools.base",
    "ToolError": "databot.types.errors",
    "ToolResult": "databot.tools.base",
    "TurnMiddleware": "databot.middleware.base",
    "build": "databot.app.build",
}
"""Where each public name lives."""

__all__ = [
    "BaseChannel",
    "BaseConnector",
    "BaseTool",
    "Databot",
    "DatabotError",
    "Effect",
    "InboundMessage",
    "LLMProvider",
    "OutboundMessage",
    "Principal",
    "Settings",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "TurnMiddleware",
    "build",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in HOMES:
        raise AttributeError(f"module 'databot' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
