"""`databot connectors`: which data systems are configured, and whether they answer."""

from typing import TYPE_CHECKING, Annotated

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from databot.cli.bot import Bot

app = typer.Typer(name="connectors", help="List and test data systems.", no_args_is_help=True)
COLUMNS = ("name", "type", "state", "ms", "detail")


@app.command("list")
def list_connectors(config: ConfigPath = None, as_json: AsJson = False) -> int:
    """List the configured connectors and how they are."""
    from databot.cli.bot import run_with_bot

    async def work(bot: "Bot") -> int:
        await show(bot, None, as_json=as_json)
        return 0

    return run_with_bot(config, work)


@app.command("test")
def ask_connectors(
    name: Annotated[str | None, typer.Argument(help="Only this one.", show_default=False)] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """Ask the connectors; the status is 1 when one of them does not answer."""
    from databot.cli.bot import run_with_bot

    async def work(bot: "Bot") -> int:
        return 0 if await show(bot, name, as_json=as_json) else 1

    return run_with_bot(config, work)


async def show(bot: "Bot", name: str | None, *, as_json: bool) -> bool:
    """Print the health of all connectors, or of one; says whether all of these are usable."""
    from databot.cli.output import Output
    from databot.connectors.base import HealthState
    from databot.types.errors import NotFound

    known = bot.connectors.names()
    if name is not None and name not in known:
        hint = f"there are: {', '.join(known)}" if known else "the configuration has none"
        raise NotFound("connector", name, hint=hint)
    found = [item for item in await bot.connectors.statuses() if name in {None, item.name}]
    records = [
        {
            "name": item.name,
            "type": item.type,
            "state": str(item.health.state),
            "ms": None if item.health.latency_ms is None else round(item.health.latency_ms, 1),
            "detail": item.health.detail,
        }
        for item in found
    ]
    Output.detect().records(records, COLUMNS, as_json=as_json)
    return all(item.health.state in {HealthState.OK, HealthState.DEGRADED} for item in found)
