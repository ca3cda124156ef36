"""`databot gateway`: the HTTP service, until it is told to stop."""

from typing import Annotated

import typer

from databot.cli.options import ConfigPath


def gateway(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65_535, help="Port; 0 takes a free one."),
    ] = None,
    config: ConfigPath = None,
) -> int:
    """Serve the HTTP API and the chat page."""
    from databot.cli.bot import load_settings

    settings = load_settings(config)
    from databot.app.gateway import run_gateway  # a wrong configuration is told before this

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    changed = settings.gateway.model_copy(update=given)
    run_gateway(settings.model_copy(update={"gateway": changed}))
    return 0
