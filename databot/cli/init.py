"""`databot init`: writes a configuration to start from."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write it.")] = Path(),
    connector_url: Annotated[
        str | None,
        typer.Option("--connector-url", metavar="URL", help="A database, e.g. postgresql://…"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="auto, offline, or a model id.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> int:
    """Write a commented config.yaml; asks for what is missing when there is a terminal."""
    from databot.app.workspace import make_config, write_config
    from databot.cli.output import Output

    if sys.stdin.isatty() and sys.stdout.isatty():
        connector_url = ask(connector_url, "Database URL (Enter for none)", "")
        model = ask(model, "Model (auto, offline, or a LiteLLM model id)", "auto")
    made = make_config(connector_url or "", model or "auto")
    path = write_config(directory, made.text, force=force)
    output = Output.detect()
    output.line(f"wrote {path}")
    for variable in made.secrets:
        output.note(f"the password is not in the file: export {variable} before you start databot")
    output.note(f"next: databot doctor --config {path}")
    return 0


def ask(given: str | None, question: str, default: str) -> str:
    if given is not None:
        return given
    answer: str = typer.prompt(question, default=default, show_default=bool(default), err=True)
    return answer.strip()
