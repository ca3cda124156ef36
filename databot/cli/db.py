"""`databot db`: the database databot keeps its own data in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from databot.app.backup import Backup

app = typer.Typer(
    name="db",
    help="Back up databot's own data, and bring its tables up to date.",
    no_args_is_help=True,
)


@app.command()
def upgrade(config: ConfigPath = None) -> int:
    """Bring the tables up to date now; a start does it too. An SQLite file must not be in use by an older databot."""
    import asyncio

    from databot.app.data_dir import make_data_dir
    from databot.cli.bot import load_settings
    from databot.cli.output import Output
    from databot.storage.upgrade import upgrade as run

    settings = load_settings(config)
    make_data_dir(settings.data_dir)
    done = asyncio.run(run(settings.storage_url()))
    if done.before == done.after:
        told = f"is at schema {done.after} already"
    elif done.before is None:
        told = f"was made, at schema {done.after}"
    else:
        told = f"was brought from schema {done.before} to {done.after}"
    Output.detect().line(f"{done.where} {told}")
    return 0


@app.command()
def backup(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A new folder, or a new file ending in .tar.gz.")
    ],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """Copy everything databot keeps, while it runs: database, files and retrieval index, and how to restore it."""
    import signal

    from databot.app.backup import how_to_restore, make_backup
    from databot.cli.bot import load_settings
    from databot.cli.output import Output
    from databot.types.clock import SystemClock

    settings = load_settings(config)
    # Both end it alike, wherever it is: what is half made is cleared away, and `pg_dump` ended.
    # A shell that runs it in the background may have had SIGINT ignored, and with it the end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    made = make_backup(settings, path, SystemClock())
    output, steps = Output.detect(), how_to_restore(made, settings)
    if as_json:
        output.json({**record(made), "restore": steps})
        return 0
    for line in described(made):
        output.line(line)
    output.line("to restore:")
    for number, step in enumerate(steps, start=1):
        output.line(f"  {number}. {step}")
    return 0


def record(made: "Backup") -> dict[str, Any]:
    """The backup as JSON tells it."""
    return {
        "path": str(made.path),
        "bytes": made.size,
        "database": made.database.where,
        "schema": made.database.schema,
        "rows": dict(made.database.rows),
        "unfinished_turns": made.database.unfinished,
        "files": made.files,
        "files_missing": made.missing,
        "index": made.index,
    }


def described(made: "Backup") -> list[str]:
    """The backup as people read it."""
    from databot.cli.text import file_size, plural

    rows, database = made.database.rows, made.database
    talks, turns = rows.get("conversation", 0), rows.get("inbox", 0)
    held = f"{plural(talks, 'conversation')}, {plural(turns, 'turn')}"
    lost = f" ({plural(made.missing, 'file')} not there)" if made.missing else ""
    return [
        f"wrote {made.path} ({file_size(made.size)})",
        f"  {database.file.name}: {database.where}, schema {database.schema}",
        f"  verified: {held}, {database.unfinished:,} of them unfinished",
        f"  artifacts: {plural(made.files, 'file')}{lost}",
        f"  retrieval index: {made.index}",
    ]
