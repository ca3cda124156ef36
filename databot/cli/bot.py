"""The running bot, as commands see it, and the one way they open it.

The protocol names only what the command line uses; `databot.app.daemon.Databot` has it all, and the tests have a small
fake.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from databot.config.settings import Settings
    from databot.connectors.base import Connectors
    from databot.core.base import Engine
    from databot.gateway.base import ApprovalDesk, Catalog
    from databot.rag.build import RAG
    from databot.storage.base import ArtifactStore, Sessions
    from databot.types.events import StreamEvent


class Choice(Protocol):
    """Which model answers, why, and how to have another."""

    @property
    def model(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def how_to_change(self) -> str: ...


class Bot(Protocol):
    """A built databot."""

    @property
    def engine(self) -> "Engine": ...

    @property
    def sessions(self) -> "Sessions": ...

    @property
    def artifacts(self) -> "ArtifactStore": ...

    @property
    def connectors(self) -> "Connectors": ...

    @property
    def catalog(self) -> "Catalog": ...

    @property
    def approvals(self) -> "ApprovalDesk": ...

    @property
    def rag(self) -> "RAG | None": ...

    @property
    def choice(self) -> Choice: ...

    def stream(
        self,
        text: str,
        *,
        session_id: str | None = None,
        bot_id: str = "default",
        channel: str = "cli",
        key: str | None = None,
    ) -> "AsyncIterator[StreamEvent]": ...


OpenBot = Callable[[], AbstractAsyncContextManager[Bot]]


def load_settings(config: Path | None) -> "Settings":
    """The configuration of this command; raises `ConfigError`."""
    from databot.config.settings import Settings

    return Settings.load(config)


def opener(settings: "Settings", **overrides: Any) -> OpenBot:  # noqa: ANN401 - the parts are build's
    """A function that opens the bot; its slow imports run in a thread, so that a prompt stays alive meanwhile."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Bot]:
        build = await asyncio.to_thread(load_build, settings)
        async with build(settings, **overrides) as bot:
            yield bot

    return opened


def load_build(settings: "Settings") -> Callable[..., AbstractAsyncContextManager[Any]]:
    """The composition root, and the log of what it does."""
    from databot.app.build import build
    from databot.cli.logs import log_command

    log_command(settings)
    return build


def run_with_bot(config: Path | None, work: Callable[[Any], Awaitable[int]]) -> int:
    """Open the bot of a configuration, do `work` with it, close it; gives what `work` gave."""
    settings = load_settings(config)

    async def session() -> int:
        async with opener(settings, background=False)() as bot:
            return await work(bot)

    return asyncio.run(session())


def choice_line(choice: Choice) -> str:
    """The model in use, in one line."""
    return f"databot: model {choice.model} ({choice.reason}); {choice.how_to_change}"
