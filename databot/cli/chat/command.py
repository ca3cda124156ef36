"""`databot chat`: chooses between the line editor, lines of stdin and a single message."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from databot.cli.options import BotName, ConfigPath

if TYPE_CHECKING:
    from databot.cli.chat.modes import ChatOptions
    from databot.config.settings import Settings

Message = Annotated[
    str | None,
    typer.Option("--message", "-m", metavar="TEXT", help="Ask this and exit; `-` reads stdin."),
]
Session = Annotated[
    str | None, typer.Option("--session", "-s", metavar="NAME", help="Go on in this conversation.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="NAME",
        help="With -m: your name for this message; asked again under it, it is the first answer.",
    ),
]
Events = Annotated[bool, typer.Option("--json", help="Print every event as a line of JSON.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Draw without colours.")]


def chat(
    message: Message = None,
    bot: BotName = "default",
    session: Session = None,
    key: Key = None,
    as_json: Events = False,
    no_color: NoColor = False,
    config: ConfigPath = None,
) -> int:
    """Talk with databot; without a terminal each line of stdin is a message.

    With -m the answer goes to stdout and everything else to stderr; the status is 1 when it failed.
    """
    from databot.cli.bot import load_settings

    if key is not None and (message is None or not key):
        raise typer.BadParameter("it names the message of -m", param_hint="--key")
    settings = load_settings(config)
    return start_chat(
        settings,
        message=message,
        bot=bot,
        session=session,
        key=key,
        as_json=as_json,
        color=not no_color,
    )


def start_chat(
    settings: "Settings",
    *,
    message: str | None = None,
    bot: str = "default",
    session: str | None = None,
    key: str | None = None,
    as_json: bool = False,
    color: bool = True,
) -> int:
    """The chat on loaded settings; gives the exit status."""
    from databot.cli.bot import opener
    from databot.cli.chat.modes import ChatOptions
    from databot.cli.output import Output

    options = ChatOptions(
        open_bot=opener(settings, channels={}),  # the gateway has the channels, not a terminal
        session_id=session or (f"cli-{key}" if key else new_session()),
        bot_id=bot,
        output=Output.detect(color=color),
        as_json=as_json,
        key=key,
    )
    return run_chat(options, message, Path(settings.data_dir) / "history")


def run_chat(options: "ChatOptions", message: str | None, history: Path) -> int:
    """One message, lines of stdin, or the line editor; gives the exit status."""
    import asyncio

    if message is not None:
        from databot.cli.chat.modes import ask_once

        return asyncio.run(ask_once(options, message_text(message)))
    if options.as_json or not options.output.rich or not sys.stdin.isatty():
        from databot.cli.chat.modes import ask_lines

        return asyncio.run(ask_lines(options))
    from databot.cli.chat.interactive import converse

    return asyncio.run(converse(options, history))


def message_text(message: str) -> str:
    from databot.cli.chat.lines import read_all

    text = read_all() if message == "-" else message
    if not text.strip():
        raise typer.BadParameter("the message is empty", param_hint="-m")
    return text


def new_session() -> str:
    from databot.cli.chat.talk import new_session_id
    from databot.types.clock import RandomIds, SystemClock

    return new_session_id(SystemClock(), RandomIds())
