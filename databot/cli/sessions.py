"""`databot sessions`: conversations that were kept."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from databot.cli.bot import Bot
    from databot.storage.base import LoggedMessage
    from databot.types.messages import ConversationKey

app = typer.Typer(
    name="sessions", help="List, show, export or delete conversations.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="SESSION", help="The conversation's name.")]


@app.command("list")
def list_sessions(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 50,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """List conversations, the last used first."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output
    from databot.types.messages import DEFAULT_TENANT

    async def work(bot: "Bot") -> int:
        records = [
            {
                "session": item.conversation.session_id,
                "bot": item.conversation.bot_id,
                "channel": item.channel,
                "turns": item.turns,
                "updated": item.updated_at.isoformat(timespec="seconds"),
                "title": item.title,
            }
            for item in await bot.sessions.list(DEFAULT_TENANT, limit=limit)
        ]
        columns = ("session", "bot", "channel", "turns", "updated", "title")
        Output.detect().records(records, columns, as_json=as_json)
        return 0

    return run_with_bot(config, work)


@app.command()
def show(session: Name, config: ConfigPath = None) -> int:
    """Print a conversation as people read it."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output

    async def work(bot: "Bot") -> int:
        output = Output.detect()
        for item in await messages(bot, session):
            if item.role in {"user", "assistant"} and item.content.strip():
                output.line(f"{item.role} · {item.at:%Y-%m-%d %H:%M}\n{item.content.strip()}\n")
        return 0

    return run_with_bot(config, work)


@app.command()
def export(
    session: Name,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file instead of stdout.")
    ] = None,
    config: ConfigPath = None,
) -> int:
    """Print a conversation with its tool calls and results, as JSON."""
    from databot.cli.bot import run_with_bot
    from databot.cli.chat.slash import write_new
    from databot.cli.output import Output

    async def work(bot: "Bot") -> int:
        document = {"session_id": session, "messages": as_records(await messages(bot, session))}
        if target is None:
            Output.detect().json(document)
        else:
            write_new(target, dump(document))
        return 0

    return run_with_bot(config, work)


@app.command()
def delete(
    session: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
) -> int:
    """Delete a conversation for good, with its files."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output

    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("without a terminal nobody can be asked: add --yes")
    if not yes:
        typer.confirm(f"Delete {session} for good?", abort=True, err=True)

    async def work(bot: "Bot") -> int:
        key = await find(bot, session)
        await bot.artifacts.delete_all(key)
        await bot.sessions.delete(key)
        Output.detect().line(f"deleted {session}")
        return 0

    return run_with_bot(config, work)


async def find(bot: "Bot", session: str) -> "ConversationKey":
    from databot.types.errors import NotFound
    from databot.types.messages import DEFAULT_TENANT

    key = await bot.sessions.find(DEFAULT_TENANT, session)
    if key is None:
        raise NotFound("session", session, hint="`databot sessions list` shows them")
    return key


async def messages(bot: "Bot", session: str) -> "Sequence[LoggedMessage]":
    return await bot.sessions.messages(await find(bot, session))


def as_records(items: "Sequence[LoggedMessage]") -> list[dict[str, Any]]:
    return [
        {
            "role": item.role,
            "content": item.content,
            "turn_id": item.turn_id,
            "at": item.at.isoformat(),
            **item.extra,
        }
        for item in items
    ]


def dump(document: object) -> bytes:
    import json

    return json.dumps(document, indent=2, ensure_ascii=False, default=str).encode() + b"\n"
