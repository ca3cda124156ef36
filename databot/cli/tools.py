"""`databot tools`: what the model may call, and a way to call it by hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from databot.cli.bot import Bot
    from databot.tools.base import ToolContext, ToolResult
    from databot.types.evidence import ArtifactRef

app = typer.Typer(name="tools", help="List tools, or run one.", no_args_is_help=True)


@app.command("list")
def list_tools(config: ConfigPath = None, as_json: AsJson = False) -> int:
    """List the tools and what they do."""
    from databot.cli.bot import run_with_bot
    from databot.cli.output import Output
    from databot.types.messages import DEFAULT_TENANT

    async def work(bot: Any) -> int:  # noqa: ANN401 - the whole Databot
        records = [
            {
                "name": item.spec.name,
                "effect": item.effect,
                "description": item.spec.description,
                "parameters": item.spec.parameters,
            }
            for item in bot.catalog.tools(DEFAULT_TENANT)
        ]
        Output.detect().records(records, ("name", "effect", "description"), as_json=as_json)
        return 0

    return run_with_bot(config, work)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="The tool.")],
    args: Annotated[str, typer.Option("--args", metavar="JSON", help="Its arguments.")] = "{}",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for the files it makes.", exists=True, file_okay=False
        ),
    ] = Path(),
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """Run a tool as the model would; its result goes to stdout, its files to the working directory."""
    from databot.cli.bot import run_with_bot
    from databot.types.chat import ToolCall

    async def work(bot: Any) -> int:  # noqa: ANN401 - the whole Databot
        call, context = ToolCall(id="cli", name=name, arguments=args), local_context()
        try:
            result = await bot.tools.call(call, context)
            files = [await hand_over(bot, item, output) for item in result.artifacts]
        finally:  # nobody could find them there: the call belongs to no conversation
            await bot.artifacts.delete_all(context.conversation)
        show(result, files, as_json=as_json)
        return 0 if result.ok else 1

    return run_with_bot(config, work)


async def hand_over(bot: "Bot", item: "ArtifactRef", folder: Path) -> Path:
    """Write a kept file into the folder, beside what is there already; gives its path."""
    import asyncio

    from databot.types.errors import NotFound
    from databot.types.messages import DEFAULT_TENANT

    artifact = await bot.artifacts.load(DEFAULT_TENANT, item.id)
    if artifact is None:
        raise NotFound("file", item.name)
    return await asyncio.to_thread(write_beside, folder / Path(item.name).name, artifact.data)


def write_beside(path: Path, data: bytes) -> Path:
    """Write the file under the first free name: `orders.csv`, else `orders-2.csv`, …; gives its path."""
    from itertools import count

    from databot.types.errors import RequestError

    name, dot, form = path.name.partition(".")
    for number in count(2):
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            path = path.with_name(f"{name}-{number}{dot}{form}")
        except OSError as error:
            raise RequestError(f"{path} cannot be written: {error.strerror}") from error
        else:
            return path
    raise AssertionError


def local_context() -> "ToolContext":
    """A call by the person at the terminal, outside any turn."""
    from databot.cli.chat.command import new_session
    from databot.tools.base import ToolContext
    from databot.types.messages import (
        DEFAULT_BOT,
        DEFAULT_TENANT,
        LOCAL_PRINCIPAL,
        ConversationKey,
    )

    session = new_session()
    key = ConversationKey(tenant_id=DEFAULT_TENANT, bot_id=DEFAULT_BOT, session_id=session)
    return ToolContext(conversation=key, principal=LOCAL_PRINCIPAL, turn_id="", call_id="cli")


def show(result: "ToolResult", files: "Sequence[Path]", *, as_json: bool) -> None:
    from dataclasses import asdict

    from databot.cli.chat.summary import evidence_line, file_line
    from databot.cli.output import Output

    output = Output.detect()
    if as_json:
        values = asdict(result)
        values.pop("figures")
        values["files"] = [str(path) for path in files]
        output.json(values)
        return
    output.line(result.content)
    for line in [evidence_line(item) for item in result.evidence]:
        output.note(line)
    for path, item in zip(files, result.artifacts, strict=True):
        output.note(file_line(str(path), item.size))
