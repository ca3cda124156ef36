"""`databot rag`: what retrieval knows, and what it finds."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from databot.cli.options import AsJson, ConfigPath
from databot.types.messages import DEFAULT_TENANT

app = typer.Typer(
    name="rag", help="Index documents and schemas, and search them.", no_args_is_help=True
)

COUNTS = ("added", "updated", "removed", "unchanged")
Tenant = Annotated[str, typer.Option("--tenant", help="Whose index.")]


@app.command()
def ingest(config: ConfigPath = None, as_json: AsJson = False) -> int:
    """Bring every tenant's index up to date with the configured sources and connected schemas."""

    async def work(rag: Any) -> int:  # noqa: ANN401 - the retrieval part of Databot
        from databot.cli.output import Output

        reports, output = {name: await rag.sync(name) for name in rag.tenants}, Output.detect()
        if as_json:
            output.json([{"tenant": name, **asdict(report)} for name, report in reports.items()])
        for name, report in reports.items():
            whose = f"{name}: " if len(reports) > 1 else ""
            if not as_json:
                counts = ", ".join(f"{getattr(report, count)} {count}" for count in COUNTS)
                output.line(whose + counts)
            for problem in report.problems:
                output.note(f"! {whose}{problem}")
        return 1 if any(report.problem_count for report in reports.values()) else 0

    return with_rag(config, work)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=50, help="How many.")] = 6,
    tenant: Tenant = DEFAULT_TENANT,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> int:
    """Print the passages a question would be enriched with; the status is 1 when there are none."""

    async def work(rag: Any) -> int:  # noqa: ANN401 - the retrieval part of Databot
        from databot.cli.output import Output
        from databot.cli.text import cell

        await rag.warm(known(tenant, rag))
        found, output = await rag.context.search(tenant, query, top_k), Output.detect()
        if found.note:
            output.note(f"! {found.note}")
        records = [
            {
                "score": round(item.score, 3),
                "kind": item.chunk.kind,
                "source": item.chunk.source,
                "title": item.chunk.title,
                "text": item.chunk.text if as_json else cell(item.chunk.text, 200),
            }
            for item in found.passages
        ]
        columns = ("score", "kind", "source", "title", "text")
        output.records(records, columns, as_json=as_json)
        return 0 if records else 1

    return with_rag(config, work)


@app.command()
def status(
    tenant: Tenant = DEFAULT_TENANT, config: ConfigPath = None, as_json: AsJson = False
) -> int:
    """Say how retrieval works here and how much is indexed."""

    async def work(rag: Any) -> int:  # noqa: ANN401 - the retrieval part of Databot
        from databot.cli.output import Output

        await rag.warm(known(tenant, rag))
        parts = [asdict(part) for part in await rag.status(tenant)]
        Output.detect().records(parts, ("name", "state", "detail"), as_json=as_json)
        return 0

    return with_rag(config, work)


def known(tenant: str, rag: Any) -> str:  # noqa: ANN401 - the retrieval part of Databot
    """The tenant, when the configuration names it. Raises `ConfigError`."""
    from databot.types.errors import ConfigError

    if tenant not in rag.tenants:
        names = ", ".join(rag.tenants)
        raise ConfigError(f"the configuration names no tenant {tenant!r}", hint=f"it has {names}")
    return tenant


def with_rag(config: Any, work: Any) -> int:  # noqa: ANN401 - as the commands above
    from databot.cli.bot import run_with_bot
    from databot.types.errors import ConfigError

    async def with_bot(bot: Any) -> int:  # noqa: ANN401 - the whole Databot
        if bot.rag is None:
            raise ConfigError("retrieval is switched off", hint="set rag.enabled to true")
        return await work(bot.rag)

    return run_with_bot(config, with_bot)
