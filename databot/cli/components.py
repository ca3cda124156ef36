"""The parts of a databot by the names of its original design, for those who want them one by one."""

from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from opentelemetry.trace import Tracer

    from databot.agents.base import Agent
    from databot.config.settings import Settings
    from databot.connectors.registry import ConnectorRegistry
    from databot.core.bus import MessageBus
    from databot.memory.base import KeyValueMemory
    from databot.providers.base import LLMProvider
    from databot.rag.context import RAGContext
    from databot.storage.base import Sessions
    from databot.tools.base import Toolset


class Components(NamedTuple):
    """The parts of a running databot, by the names of its original design."""

    bus: "MessageBus"
    provider: "LLMProvider"
    tools: "Toolset"
    sessions: "Sessions"
    memory: "KeyValueMemory"
    workspace: "Path"
    connector_registry: "ConnectorRegistry"
    rag_context: "RAGContext | None"
    tracer: "Tracer | None"
    delegator: "Agent"


class Building:
    """A databot about to be built for its parts: `async with` it, or `await` it and keep it until the process ends."""

    def __init__(self, settings: "Settings", overrides: Mapping[str, Any]) -> None:
        self._settings = settings
        self._overrides = overrides
        self._open = AsyncExitStack()

    def __await__(self) -> Generator[Any, None, Components]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Components:
        from databot.app.build import build
        from databot.types.messages import DEFAULT_BOT

        settings = self._settings
        bot = await self._open.enter_async_context(build(settings, **self._overrides))
        return Components(
            bus=bot.bus,
            provider=bot.provider,
            tools=bot.tools,
            sessions=bot.sessions,
            memory=bot.memory,
            workspace=settings.tools.files.root,
            connector_registry=bot.connectors,
            rag_context=bot.rag.context if bot.rag else None,
            tracer=bot.tracer,
            delegator=bot.agents.get(DEFAULT_BOT) or next(iter(bot.agents.values())),
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        await self._open.aclose()

    async def aclose(self) -> None:
        """Close what `await` opened."""
        await self._open.aclose()


def build_components(settings: "Settings", **overrides: Any) -> Building:  # noqa: ANN401 - the parts are build's
    """Open a databot for its parts, with `async with` or `await`; gives them as a named tuple.

    They live as long as the databot is open; `overrides` are those of `databot.build`, and so are the errors.
    """
    return Building(settings, overrides)
