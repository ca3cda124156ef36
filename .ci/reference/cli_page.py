"""The command line, from its commands: options, arguments and what can be typed inside the chat."""

from collections.abc import Iterator
from typing import Any

import typer
from markdown_text import Row, code, prose, table

from databot.cli import status as exit_status
from databot.cli.chat.slash import COMMANDS as SLASH_COMMANDS
from databot.cli.commands import app


def cli_page() -> Iterator[str]:
    yield (
        "Answers and data go to stdout, everything else to stderr. `--debug` may stand anywhere and shows the stack of an "
        "error; `--help` or `-h` explains each command. With `--json` a command prints JSON; where there is no terminal, "
        "tables are tab-separated."
    )
    statuses = [
        (str(exit_status.DONE), "done"),
        (str(exit_status.FAILED), "failed"),
        (str(exit_status.MISUSED), "wrong usage, or a configuration that cannot be used"),
        (str(exit_status.INTERRUPTED), "interrupted"),
        (str(exit_status.PIPE_CLOSED), "whoever read the output has gone"),
    ]
    yield table(("status", "means"), statuses)
    root = typer.main.get_command(app)
    yield "## `databot`"
    yield options_table(root)
    yield from commands(root, "databot")
    yield "## Inside the chat"
    rows = [(code(item.usage), item.help) for item in SLASH_COMMANDS.values()]
    rows.append((code("@agent question"), "ask one agent"))
    yield table(("type", "to"), rows)


def commands(group: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - typer's own classes
    """Each command below `group`, in the order of `--help`."""
    for name, command in group.commands.items():
        full = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, full)
            continue
        yield f"## `{full}`"
        yield prose(command.help)
        yield options_table(command)


def options_table(command: Any) -> str:  # noqa: ANN401 - typer's own classes
    rows: list[Row] = []
    for item in command.params:
        if item.name == "help":
            continue
        if item.param_type_name == "argument":
            shown = str(
                item.metavar or (item.name.upper() if item.required else f"[{item.name.upper()}]")
            )
        else:
            value = "" if item.is_flag else f" {item.metavar or item.name.upper()}"
            shown = ", ".join(item.opts) + value
        default = (
            "" if item.default in {None, False, ""} or callable(item.default) else item.default
        )
        default = "" if str(default) == "." else str(default)
        rows.append((code(shown), code(default), item.help or ""))
    return table(("option", "default", "meaning"), rows) if rows else "It takes no options."
