"""Every command by name, and the parts of a daemon for those who want them one by one.

Each command lives in its own file. Those files import nothing heavy at their top: `databot --help` reads them all.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from databot.cli import config, connectors, plugins, rag, sessions, tools
from databot.cli.channels import app as channels_app
from databot.cli.chat.command import chat
from databot.cli.demo import demo
from databot.cli.doctor import doctor
from databot.cli.gateway import gateway
from databot.cli.init import init

if TYPE_CHECKING:
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

app = typer.Typer(
    name="databot",
    help="Ask your data systems in plain words. `databot demo` shows how.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (chat, demo, init, doctor, gateway):
    app.command()(command)
for group in (config, connectors, tools, rag, sessions, plugins):
    app.add_typer(group.app)
app.add_typer(channels_app)


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the stack of an error; may stand anywhere.")
    ] = False,
    show_version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.")
    ] = False,
) -> None:
    del debug, show_version  # both are taken by `databot.cli.main` before this is imported


class Components(NamedTuple):
    """The parts of a running databot, by the names of its original design."""

    bus: "MessageBus"
    provider: "LLMProvider"
    tools: "Toolset"
    sessions: "Sessions"
    memory: "KeyValueMemory"
    workspace: Path
    connector_registry: "ConnectorRegistry"
    rag_context: "RAGContext | None"
    tracer: "Tracer | None"
    delegator: "Agent"


@asynccontextmanager
async def build_components(settings: "Settings", **overrides: Any) -> AsyncGenerator[Components]:  # noqa: ANN401 - the parts are build's
    """The parts of a databot that runs as long as the block lasts; `overrides` are those of `databot.build`.

    Raises what `databot.build` raises.
    """
    from databot.app.build import build
    from databot.types.messages import DEFAULT_BOT

    async with build(settings, **overrides) as bot:
        yield Components(
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


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line; gives the exit status the command chose, 0 when it chose none."""
    status = typer.main.get_command(app).main(
        args=list(arguments), prog_name="databot", standalone_mode=False
    )
    return status if isinstance(status, int) else 0
