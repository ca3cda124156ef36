"""`databot channels`: the places where people can talk with this databot."""

from typing import TYPE_CHECKING

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from databot.cli.bot import Bot

app = typer.Typer(name="channels", help="List the places where people talk.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """With a callback a group of one command stays a group."""


@app.command("list")
def list_channels(config: ConfigPath = None, as_json: AsJson = False) -> int:
    """List the channels that are wired."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output

    async def work(bot: "Bot") -> int:
        records = [
            {"name": item.name, "ready": item.ready, "detail": item.detail}
            for item in bot.catalog.channels()
        ]
        Output.detect().records(records, ("name", "ready", "detail"), as_json=as_json)
        return 0

    return run_with_bot(config, work)
