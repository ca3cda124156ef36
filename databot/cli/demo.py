"""`databot demo`: a small company to ask questions about, and the chat in it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

FIRST_QUESTION = "What are the top 5 products by revenue?"


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where the demo workspace is made.")
    ] = Path("demo"),
    message: Annotated[
        str | None,
        typer.Option(
            "--message", "-m", metavar="TEXT", help="Ask this and exit.", show_default=False
        ),
    ] = None,
) -> int:
    """Make a demo workspace (a database, documents, a configuration) and open the chat there.

    Without a terminal, or with -m, it answers one question and ends. It needs no key and no network.
    """
    from databot.app.demo import prepare_demo
    from databot.cli.bot import load_settings
    from databot.cli.chat.command import start_chat
    from databot.cli.output import Output
    from databot.types.clock import SystemClock

    output = Output.detect()
    folder = prepare_demo(directory, SystemClock().now().date(), output.note)
    os.chdir(folder)  # the demo's configuration names its files relative to itself
    settings = load_settings(Path("config.yaml"))
    terminal = sys.stdin.isatty() and output.rich
    if message is None and not terminal:
        message = FIRST_QUESTION
        output.note(f"databot: no terminal here, so one question is answered: {message}")
    elif message is None:
        output.note(f'try: "{FIRST_QUESTION}", "orders per month", "how many orders yesterday?"')
    return start_chat(settings, message=message)
