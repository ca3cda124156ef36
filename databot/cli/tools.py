"""`databot tools`: what the model may call, and a way to call it by hand."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from databot.tools.base import ToolContext, ToolResult

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
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """Run a tool as the model would; its result goes to stdout."""
    from databot.cli.bot import run_with_bot
    from databot.types.chat import ToolCall

    async def work(bot: Any) -> int:  # noqa: ANN401 - the whole Databot
        call = ToolCall(id="cli", name=name, arguments=args)
        result = await bot.tools.call(call, local_context())
        show(result, as_json=as_json)
        return 0 if result.ok else 1

    return run_with_bot(config, work)


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
    return ToolContext(conversation=key, principal=LOCAL_PRINCIPAL, turn_id=session, call_id="cli")


def show(result: "ToolResult", *, as_json: bool) -> None:
    from dataclasses import asdict

    from databot.cli.chat.summary import artifact_line, evidence_line
    from databot.cli.output import Output

    output = Output.detect()
    if as_json:
        values = asdict(result)
        values.pop("figures")
        output.json(values)
        return
    output.line(result.content)
    for line in [evidence_line(item) for item in result.evidence]:
        output.note(line)
    for line in [artifact_line(item) for item in result.artifacts]:
        output.note(line)
