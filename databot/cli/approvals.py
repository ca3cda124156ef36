"""`databot approvals`: tool calls that wait for a person."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from databot.gateway.base import ApprovalDesk
    from databot.tools.base import Approval, Verdict
    from databot.types.messages import Principal

app = typer.Typer(
    name="approvals",
    help="List tool calls that wait for a person; approve or deny them.",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(metavar="ID", help="As `approvals list` shows it.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Whose.")]
Note = Annotated[
    str, typer.Option("--note", help="Why; the model reads it when the call is denied.")
]
COLUMNS = ("id", "tool", "arguments", "session", "asked", "waits until")


@app.command("list")
def list_approvals(
    tenant: Tenant = "default",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 50,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """List the calls that wait, the longest waiting first."""

    async def work(desk: "ApprovalDesk", person: "Principal") -> int:
        from databot.cli.output import Output

        found = await desk.pending(person, limit=limit)
        make = whole_record if as_json else record
        Output.detect().records([make(item) for item in found], COLUMNS, as_json=as_json)
        return 0

    return with_desk(config, tenant, work)


@app.command()
def approve(
    approval: Id, note: Note = "", tenant: Tenant = "default", config: ConfigPath = None
) -> int:
    """Let a call be made, once."""
    return decide(config, tenant, approval, "approve", note)


@app.command()
def deny(
    approval: Id, note: Note = "", tenant: Tenant = "default", config: ConfigPath = None
) -> int:
    """Refuse a call; the model is told."""
    return decide(config, tenant, approval, "deny", note)


def decide(config: Any, tenant: str, approval: str, verdict: "Verdict", note: str) -> int:  # noqa: ANN401 - as the commands above
    async def work(desk: "ApprovalDesk", person: "Principal") -> int:
        from databot.cli.output import Output

        decided = await desk.decide(person, approval, verdict, note=note)
        output = Output.detect()
        output.line(f"{decided.id} is {decided.state}")
        output.note(
            "a running databot goes on with it within seconds, else the next message of its conversation: "
            f"databot chat --session {decided.conversation.session_id}"
        )
        return 0

    return with_desk(config, tenant, work)


def record(approval: "Approval") -> dict[str, Any]:
    from databot.cli.chat.cards import arguments_text
    from databot.cli.text import moment

    return {
        "id": approval.id,
        "tool": approval.tool,
        "arguments": arguments_text(approval, indent=None),
        "session": approval.conversation.session_id,
        "asked": moment(approval.requested_at),
        "waits until": moment(approval.expires_at),
    }


def whole_record(approval: "Approval") -> dict[str, Any]:
    from databot.types.approvals import whole_arguments

    return {
        "id": approval.id,
        "turn_id": approval.turn_id,
        "session_id": approval.conversation.session_id,
        "bot_id": approval.conversation.bot_id,
        "tool": approval.tool,
        "arguments": whole_arguments(approval.arguments),
        "requested_at": approval.requested_at.isoformat(),
        "expires_at": approval.expires_at.isoformat(),
    }


def with_desk(
    config: Any,  # noqa: ANN401 - as the commands above
    tenant: str,
    work: "Callable[[ApprovalDesk, Principal], Awaitable[int]]",
) -> int:
    """Work at the desk of a configured store, beside its daemon or without one."""
    import asyncio
    from dataclasses import replace

    from databot.app.approvals import open_approvals
    from databot.cli.bot import load_settings
    from databot.types.messages import LOCAL_PRINCIPAL

    settings = load_settings(config)

    async def session() -> int:
        async with open_approvals(settings) as desk:
            return await work(desk, replace(LOCAL_PRINCIPAL, tenant_id=tenant))

    return asyncio.run(session())
