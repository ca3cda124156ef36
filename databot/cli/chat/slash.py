"""What can be typed with a `/` in front: looks at the data and at the conversation, without the model.

Each command is one function `(desk, rest) -> None`; the table at the end names them all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from databot.cli.chat.summary import full_evidence
from databot.cli.chat.talk import Talk, new_session_id
from databot.cli.output import Output
from databot.cli.text import cell, duration, file_size, moment, plural
from databot.connectors.base import CallContext, QueryResult, SqlSource
from databot.storage.base import SessionSummary
from databot.types.clock import Clock, Ids, RandomIds, SystemClock
from databot.types.errors import Conflict, NotFound, RequestError
from databot.types.evidence import ArtifactRef
from databot.types.messages import DEFAULT_TENANT, LOCAL_PRINCIPAL

SHOWN_ROWS = 50
LISTED_SESSIONS = 20


class Leave(Exception):
    """The conversation at the terminal ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a slash command works on."""

    talk: Talk
    output: Output
    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=RandomIds)


Action = Callable[[Desk, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashCommand:
    """A command as `/help` lists it."""

    usage: str
    help: str
    action: Action


async def run_slash(desk: Desk, line: str) -> None:
    """Run `/name rest`. Raises `Leave`, or a `DatabotError` that says what is wrong."""
    name, _, rest = line[1:].partition(" ")
    command = COMMANDS.get(name.lower())
    if command is None:
        raise NotFound("command", f"/{name}", hint="/help lists them")
    await command.action(desk, rest.strip())


async def show_help(desk: Desk, rest: str) -> None:
    del rest
    rows = [(item.usage, item.help) for item in COMMANDS.values()]
    rows += [("@agent question", f"ask one agent: {', '.join(desk.talk.agents()) or 'none'}")]
    desk.output.table(("type", "to"), rows)
    desk.output.note(
        "Alt-Enter begins a new line · Ctrl-C stops an answer · Ctrl-D leaves"
        if desk.output.rich
        else "each line is a message"
    )


async def show_tables(desk: Desk, rest: str) -> None:
    found = sources(desk, rest)
    rows = [
        (name, table.qualified, table.kind, estimate(table.row_estimate), table.comment)
        for name, source in found.items()
        for table in await source.list_tables()
    ]
    if not rows:
        raise NotFound("table", "*", hint="the connected databases are empty")
    desk.output.table(("connector", "table", "kind", "rows", "comment"), rows)


def estimate(rows: int | None) -> str:
    return "" if rows is None else f"{rows:,}"


def sources(desk: Desk, name: str) -> Mapping[str, SqlSource]:
    """The SQL connectors, or the one that is named."""
    known = desk.talk.bot.connectors.sql()
    if not known:
        raise Conflict("no SQL database is connected", hint="add one under `connectors:`")
    if not name:
        return known
    if name not in known:
        raise NotFound("SQL connector", name, hint=f"there are: {', '.join(known)}")
    return {name: known[name]}


async def run_sql(desk: Desk, rest: str) -> None:
    known = sources(desk, "")
    first, _, remainder = rest.partition(" ")
    name, statement = (first, remainder.strip()) if first in known else (next(iter(known)), rest)
    if not statement:
        raise RequestError(
            "no statement was given", hint="/sql SELECT …, or /sql connector SELECT …"
        )
    if len(known) > 1 and first not in known:
        raise RequestError("which database?", hint=f"/sql {'|'.join(known)} SELECT …")
    context = CallContext(principal_id=LOCAL_PRINCIPAL.id, session_id=desk.talk.session_id)
    show_result(desk.output, name, await known[name].query(statement, context))


def show_result(output: Output, name: str, result: QueryResult) -> None:
    """The first rows as a table, and a line about the whole."""
    head = result.table.slice(0, SHOWN_ROWS).to_pylist()
    columns = result.table.column_names
    output.table(columns, [[cell(row[column]) for column in columns] for row in head])
    total = result.table.num_rows
    cut = f" · the first {SHOWN_ROWS} are shown" if total > SHOWN_ROWS else ""
    more = " · more rows exist" if result.truncated else ""
    took = duration(result.elapsed_ms)
    output.note(f"▸ {name} · {plural(total, 'row')}{cut}{more} · {took}")


async def show_evidence(desk: Desk, rest: str) -> None:
    del rest
    message = desk.talk.last
    parts = list(full_evidence(message)) if message else []
    if not parts:
        raise Conflict("the last answer has no evidence", hint="ask something about the data first")
    for kind, text in parts:
        if kind == "sql" and desk.output.rich:
            from rich.syntax import Syntax

            desk.output.console().print(Syntax(text, "sql", word_wrap=True, theme="ansi_dark"))
        else:
            desk.output.line(text if kind == "line" else f"    {text}")


async def show_sessions(desk: Desk, rest: str) -> None:
    if rest:
        await resume(desk, rest)
        return
    found = await listed(desk)
    rows = [
        (str(n), item.conversation.session_id, moment(item.updated_at), str(item.turns), item.title)
        for n, item in enumerate(found, start=1)
    ]
    desk.output.table(("n", "session", "last used", "turns", "began with"), rows)
    desk.output.note("/sessions N goes on with one of them")


async def listed(desk: Desk) -> Sequence[SessionSummary]:
    """The last used sessions; from now on they are known by their numbers."""
    found = await desk.talk.bot.sessions.list(DEFAULT_TENANT, limit=LISTED_SESSIONS)
    desk.talk.listed = [item.conversation.session_id for item in found]
    return found


async def resume(desk: Desk, which: str) -> None:
    """Go on in a session given by its number in the last list, or by name."""
    at = int(which) if which.isdecimal() else 0
    if at and not desk.talk.listed:
        await listed(desk)
    names = desk.talk.listed
    name = names[at - 1] if 0 < at <= len(names) else which
    if await desk.talk.bot.sessions.find(DEFAULT_TENANT, name) is None:
        raise NotFound("session", which, hint="/sessions lists them")
    desk.talk.switch(name)
    desk.output.note(f"going on in {name}")


async def begin_session(desk: Desk, rest: str) -> None:
    desk.talk.switch(rest or new_session_id(desk.clock, desk.ids))
    desk.output.note(f"a new conversation: {desk.talk.session_id}")


async def show_model(desk: Desk, rest: str) -> None:
    del rest
    choice = desk.talk.bot.choice
    desk.output.line(f"{choice.model}: {choice.reason}")
    desk.output.note(choice.how_to_change)


async def show_agents(desk: Desk, rest: str) -> None:
    del rest
    rows = [
        (f"@{agent.name}", "yes" if agent.active else "no", agent.description)
        for agent in desk.talk.bot.catalog.agents(DEFAULT_TENANT)
    ]
    desk.output.table(("agent", "active", "for"), rows)


async def save_file(desk: Desk, rest: str) -> None:
    """Write a file of the last answer to disk; nothing is overwritten."""
    files = desk.talk.last.artifacts if desk.talk.last else ()
    which, _, after = rest.partition(" ")
    at, target = (int(which), after.strip()) if which.isdecimal() else (0, rest)
    if not files or at > len(files) or (which.isdecimal() and not at):
        raise Conflict(f"the last answer has {plural(len(files), 'file')}", hint="/save [N] [PATH]")
    wanted = files[at - 1] if at else of_kind(files, target)
    artifact = await desk.talk.bot.artifacts.load(DEFAULT_TENANT, wanted.id)
    if artifact is None:
        raise NotFound("file", wanted.name)
    path = await asyncio.to_thread(place_for, target, Path(artifact.ref.name).name)
    await asyncio.to_thread(write_new, path, artifact.data)
    desk.output.line(f"saved {path} ({file_size(artifact.ref.size)})")


def of_kind(files: Sequence[ArtifactRef], target: str) -> ArtifactRef:
    """The first file that ends like the path it is saved to (`orders.png`), else the first."""
    suffix = Path(target).suffix.lower()
    return next((file for file in files if suffix and file.name.endswith(suffix)), files[0])


def place_for(target: str, name: str) -> Path:
    """The path that was given, or the file's own name, in the folder that was given or here."""
    path = Path(target).expanduser()
    return path / name if path.is_dir() else path


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise Conflict(
            f"{path} exists already", hint="give another path: /save [N] PATH"
        ) from error
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from error


async def leave(desk: Desk, rest: str) -> NoReturn:
    del desk, rest
    raise Leave


COMMANDS: Mapping[str, SlashCommand] = {
    "help": SlashCommand(usage="/help", help="list the commands", action=show_help),
    "tables": SlashCommand(
        usage="/tables [connector]", help="list the tables of the databases", action=show_tables
    ),
    "sql": SlashCommand(
        usage="/sql [connector] SELECT …", help="run a read-only statement", action=run_sql
    ),
    "evidence": SlashCommand(
        usage="/evidence", help="show what the last answer rests on", action=show_evidence
    ),
    "save": SlashCommand(
        usage="/save [n] [path]", help="save a file of the last answer", action=save_file
    ),
    "sessions": SlashCommand(
        usage="/sessions [n]", help="list conversations, or go on with one", action=show_sessions
    ),
    "new": SlashCommand(usage="/new", help="begin a new conversation", action=begin_session),
    "agents": SlashCommand(usage="/agents", help="list who can answer", action=show_agents),
    "model": SlashCommand(usage="/model", help="show which model answers", action=show_model),
    "quit": SlashCommand(usage="/quit", help="leave", action=leave),
}
