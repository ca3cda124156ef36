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
    from databot.types.errors import NotFound
    from databot.types.messages import ConversationKey

app = typer.Typer(
    name="sessions", help="List, show, export or delete conversations.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="SESSION", help="The conversation's name.")]
BotId = Annotated[
    str | None,
    typer.Option(
        "--bot", "-b", metavar="BOT", help="Whose it is, where two have one of that name."
    ),
]


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
def show(session: Name, bot_id: BotId = None, config: ConfigPath = None) -> int:
    """Print a conversation as people read it."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output

    async def work(bot: "Bot") -> int:
        output = Output.detect()
        for item in await messages(bot, session, bot_id):
            if item.role in {"user", "assistant"} and item.content.strip():
                output.line(f"{item.role} · {item.at:%Y-%m-%d %H:%M}\n{item.content.strip()}\n")
        return 0

    return run_with_bot(config, work)


@app.command()
def export(
    session: Name,
    bot_id: BotId = None,
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
        document = {
            "session_id": session,
            "messages": as_records(await messages(bot, session, bot_id)),
        }
        if target is None:
            Output.detect().json(document)
        else:
            write_new(target, dump(document))
        return 0

    return run_with_bot(config, work)


@app.command()
def delete(
    session: Name,
    bot_id: BotId = None,
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
        if not await bot.sessions.delete(await find(bot, session, bot_id)):
            raise unknown(session)
        Output.detect().line(f"deleted {session}")
        return 0

    return run_with_bot(config, work)


async def find(bot: "Bot", session: str, bot_id: str | None) -> "ConversationKey":
    """The conversation of that name, the last used of several; whether a bot that is named has one shows later."""
    from databot.types.messages import DEFAULT_TENANT, ConversationKey

    if bot_id is not None:
        return ConversationKey(tenant_id=DEFAULT_TENANT, bot_id=bot_id, session_id=session)
    key = await bot.sessions.find(DEFAULT_TENANT, session)
    if key is None:
        raise unknown(session)
    return key


async def messages(bot: "Bot", session: str, bot_id: str | None) -> "Sequence[LoggedMessage]":
    found = await bot.sessions.messages(await find(bot, session, bot_id))
    if not found:  # it has at least the one that began it
        raise unknown(session)
    return found


def unknown(session: str) -> "NotFound":
    from databot.types.errors import NotFound

    return NotFound("session", session, hint="`databot sessions list` shows them")


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
