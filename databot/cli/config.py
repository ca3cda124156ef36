"""`databot config`: check, show and describe the configuration. Starts nothing."""

import typer

from databot.cli.options import AsJson, ConfigPath

app = typer.Typer(
    name="config", help="Check, show or describe the configuration.", no_args_is_help=True
)


@app.command()
def check(config: ConfigPath = None) -> int:
    """Say whether the configuration can be used; the status is 2 when it cannot."""
    from databot.cli.bot import load_settings
    from databot.cli.output import Output
    from databot.cli.settings_check import problems

    settings = load_settings(config)
    found = problems(settings)
    output = Output.detect()
    for line in found:
        output.note(f"databot: {line}")
    if found:
        return 2
    where = settings.source or "built-in defaults (no configuration file)"
    output.line(f"ok: {where}")
    return 0


@app.command()
def show(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print the configuration in effect: secrets masked, ${VAR} left as written."""
    import os

    from databot.cli.output import Output
    from databot.cli.settings_view import effective, to_yaml

    values = effective(config, os.environ)
    output = Output.detect()
    if as_json:
        output.json(values)
    else:
        output.line(to_yaml(values).rstrip())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from databot.cli.output import Output
    from databot.config.settings import Settings

    document = Settings.model_json_schema()
    Output.detect().json({"$schema": "https://json-schema.org/draft/2020-12/schema", **document})
