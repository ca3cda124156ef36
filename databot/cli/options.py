"""Options that several commands share, so that they are spelled and explained once."""

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="PATH", help="Configuration file.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BotName = Annotated[str, typer.Option("--bot", "-b", metavar="BOT", help="Which assistant.")]
