"""The tools there are: listed with their schemas, called with checked arguments.

A registry decides nothing about who may call what: guards wrapped round it do. It is where every failure of a tool
becomes a `ToolError` the model can act on.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from databot.tools.arguments import parameters_of, parse_arguments
from databot.tools.base import BaseTool, Effect, ToolContext, ToolResult, ToolServices
from databot.types.chat import ToolCall, ToolSpec
from databot.types.errors import (
    ConfigError,
    ConnectorError,
    DatabotError,
    ToolError,
    ToolNotFound,
    TurnCancelled,
    describe,
    shorten,
)
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every vendor's protocol accepts."""
ERROR_CHARS = 2_000


class ToolRegistry:
    """A set of tools in the order they were added. Implements `Toolset`."""

    def __init__(self, tools: Sequence[BaseTool] = ()) -> None:
        self._tools: dict[str, BaseTool] = {}
        self._specs: dict[str, ToolSpec] = {}
        for tool in tools:
            self.add(tool)

    def add(self, tool: BaseTool) -> None:
        """Add one; raises `ConfigError` when its name is taken or no model could call it by that name."""
        if tool.name in self._tools:
            raise ConfigError(f"there are two tools named {tool.name!r}")
        if not TOOL_NAME.fullmatch(tool.name):
            raise ConfigError(
                f"{shorten(tool.name)!r} cannot be a tool's name",
                hint="use A-Z a-z 0-9 _ -, at most 64",
            )
        self._specs[tool.name] = ToolSpec(
            name=tool.name,
            description=tool.description,
            parameters=parameters_of(tool.Arguments),
        )
        self._tools[tool.name] = tool

    def load_plugins(
        self,
        classes: Mapping[str, type[BaseTool]],
        services: ToolServices,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Mapping[str, str]:
        """Build and add the tools of loaded entry points, by entry-point name.

        Gives, for each that is not there, the reason in one line: what it needs is not configured, or it failed.
        """
        absent: dict[str, str] = {}
        for name, kind in classes.items():
            own = replace(services, options=(options or {}).get(name, {}))
            try:
                tool = kind.create(own)
                if tool is None:
                    absent[name] = "what it needs is not configured"
                else:
                    self.add(tool)
            except Exception as error:  # boundary: plugin construction
                log.warning("the tool %s could not be built", name, exc_info=error)
                absent[name] = _why(error)
        return absent

    def names(self) -> Sequence[str]:
        """The tools' names, in order."""
        return tuple(self._tools)

    def timeouts(self) -> Mapping[str, float]:
        """How long each tool may run, in seconds."""
        return {name: tool.timeout_s for name, tool in self._tools.items()}

    def specs(self) -> Sequence[ToolSpec]:
        return tuple(self._specs.values())

    def effect(self, name: str) -> Effect:
        tool = self._tools.get(name)
        return tool.effect if tool else Effect.PLAIN

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        del context
        self._prepared(call)

    def _prepared(self, call: ToolCall) -> tuple[BaseTool, Any]:
        tool = self._tools.get(call.name)
        if tool is None:
            raise ToolNotFound(call.name, self.names())
        return tool, parse_arguments(tool.Arguments, call.arguments)

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        tool, arguments = self._prepared(call)
        try:
            return _checked(await tool.run(arguments, context))
        except TurnCancelled:
            raise
        except asyncio.CancelledError as error:
            if was_asked_to_stop():
                raise
            raise ToolError(
                _inside(call.name)
            ) from error  # something the tool waited for was cancelled
        except DatabotError as error:
            raise _for_the_model(error) from error
        except (
            Exception,
            SystemExit,
        ) as error:  # boundary: tool call (one that ends the process, too)
            log.exception("the tool %s failed inside", call.name)
            raise ToolError(_inside(call.name)) from error


def _inside(name: str) -> str:
    return (
        f"the tool {name!r} failed inside; the same call will most likely fail again"
        " (say so, or try another way)"
    )


def _checked(result: object) -> ToolResult:
    """A plugin's tool may return anything; what is not a result must not travel on."""
    if not isinstance(result, ToolResult):
        raise TypeError(f"a tool must return a ToolResult, not {type(result).__name__}")
    if result.content.isascii():
        return result
    # Half a character, which some drivers let through, could neither be sent to a model nor be stored.
    whole = result.content.encode("utf-8", "replace").decode()
    return replace(result, content=whole)


def _for_the_model(error: DatabotError) -> ToolError:
    match error:
        case ToolError():
            return _bounded(error)
        case ConnectorError():
            return ToolError(_of_connector(error))
        case _:
            return ToolError(shorten(describe(error), ERROR_CHARS))


def _bounded(error: ToolError) -> ToolError:
    """The error itself, or a shorter one when a tool tells a whole story."""
    if len(error.message) + len(error.hint) <= ERROR_CHARS:
        return error
    return ToolError(shorten(error.message, ERROR_CHARS // 2), hint=shorten(error.hint, 200))


def _of_connector(error: ConnectorError) -> str:
    told = not error.connector or error.message.startswith(error.connector)
    who = "" if told else f"connector {error.connector!r}, "
    again = "; the same call may work later" if error.retryable else ""
    return shorten(f"{describe(error)} [{who}{error.kind}{again}]", ERROR_CHARS)


def _why(error: Exception) -> str:
    if isinstance(error, DatabotError):
        return describe(error)
    return shorten(f"{type(error).__name__}: {error}".splitlines()[0], 200)
