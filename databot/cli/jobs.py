"""`databot jobs`: background work, and turns that were given up."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from databot.cli.options import AsJson, ConfigPath

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from databot.jobs.base import Desk, WorkItem

app = typer.Typer(
    name="jobs",
    help="List background work and turns that were given up; try them again.",
    no_args_is_help=True,
)
State = Literal["queued", "running", "done", "failed", "dead", "cancelled"]
Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as `jobs list` shows it.")]
COLUMNS = ("id", "kind", "state", "attempts", "tenant", "created", "detail")


@app.command("list")
def list_jobs(
    state: Annotated[
        State | None, typer.Option("--state", help="Only those in this state.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Only this tenant's; left out, everybody's.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 50,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """List jobs, the last made first; a turn that was given up is one of kind `turn`."""

    async def work(desk: "Desk") -> int:
        from databot.cli.output import Output

        found = await desk.list(tenant, state=state, limit=limit)
        Output.detect().records([record(item) for item in found], COLUMNS, as_json=as_json)
        return 0

    return with_desk(config, work)


@app.command()
def retry(job: Id, config: ConfigPath = None) -> int:
    """Try a failed or dead job, or a turn that was given up, again."""

    async def work(desk: "Desk") -> int:
        from databot.cli.output import Output

        await desk.retry(None, job)
        Output.detect().line(f"{job} is queued again")
        return 0

    return with_desk(config, work)


@app.command()
def cancel(job: Id, config: ConfigPath = None) -> int:
    """End a job that waits, or ask for one that runs to be stopped."""

    async def work(desk: "Desk") -> int:
        from databot.cli.output import Output

        await desk.cancel(None, job)
        Output.detect().line(f"{job} is cancelled, or will be within seconds")
        return 0

    return with_desk(config, work)


def record(item: "WorkItem") -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "state": item.state,
        "attempts": item.attempts,
        "tenant": item.tenant_id,
        "created": item.created_at.isoformat(timespec="seconds"),
        "detail": item.error or progress_text(item.progress),
    }


def progress_text(progress: float | str | None) -> str | None:
    return f"{progress:.0%}" if isinstance(progress, float | int) else progress


def with_desk(config: Any, work: "Callable[[Desk], Awaitable[int]]") -> int:  # noqa: ANN401 - as the commands above
    import asyncio

    from databot.app.jobs import open_desk
    from databot.cli.bot import load_settings

    settings = load_settings(config)

    async def session() -> int:
        async with open_desk(settings) as desk:
            return await work(desk)

    return asyncio.run(session())
