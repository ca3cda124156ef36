"""Every command by name; `build_components` stands here because that is where people look for it.

Each command lives in its own file. Those files import nothing heavy at their top: `databot --help` reads them all.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from databot.cli import approvals, config, connectors, db, jobs, plugins, rag, sessions, tools
from databot.cli.channels import app as channels_app
from databot.cli.chat.command import chat
from databot.cli.components import build_components
from databot.cli.demo import demo
from databot.cli.doctor import doctor
from databot.cli.gateway import gateway
from databot.cli.init import init

__all__ = ["app", "build_components", "run_command"]

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
for group in (config, connectors, tools, rag, sessions, approvals, jobs, db, plugins):
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


def run_command(arguments: Sequence[str]) -> int:
    """Run a command line; gives the exit status the command chose, 0 when it chose none."""
    try:
        status = typer.main.get_command(app).main(
            args=list(arguments), prog_name="databot", standalone_mode=False
        )
    except (
        SystemExit
    ) as end:  # typer ends the process itself where a pipe has closed, with status 1
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
    return status if isinstance(status, int) else 0
