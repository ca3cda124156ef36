"""`databot plugins`: what installed packages add, and why something is not loaded."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from databot.cli.bot import Bot

app = typer.Typer(name="plugins", help="List installed extensions.", no_args_is_help=True)
COLUMNS = ("group", "name", "distribution", "version", "state", "detail")


@app.callback()
def group() -> None:
    """With a callback a group of one command stays a group."""


@app.command("list")
def list_plugins(config: ConfigPath = None, as_json: AsJson = False) -> int:
    """List every entry point, databot's own included, and what became of it."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output

    async def work(bot: "Bot") -> int:
        records = [asdict(item) for item in bot.catalog.plugins()]
        Output.detect().records(records, COLUMNS, as_json=as_json)
        return 0

    return run_with_bot(config, work)
