"""`databot doctor`: what works here, what does not, and what to do about it."""

from typing import TYPE_CHECKING

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from databot.cli.checks import Check
    from databot.cli.output import Output

MARKS = {"ok": "✓", "warn": "!", "off": "-", "broken": "✗"}


def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Look at every dependency, the configuration, storage, model, retrieval and connectors.

    The status is 1 when something that is needed is broken.
    """
    import asyncio

    from databot.cli.checks import examine
    from databot.cli.output import Output

    found = asyncio.run(examine(config))
    show(found, Output.detect(), as_json=as_json)
    if any(item.state == "broken" for item in found):
        raise typer.Exit(1)


def show(found: "Sequence[Check]", output: "Output", *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        output.json([asdict(item) for item in found])
        return
    rows = [(MARKS[item.state], item.area, item.name, item.detail) for item in found]
    output.table(("", "area", "what", "detail"), rows)
    broken = sum(item.state == "broken" for item in found)
    output.note(f"{broken} broken" if broken else "everything that is needed works")
