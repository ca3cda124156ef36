"""The schema's versions: which one the code needs, and the plain SQL that leads there.

Alembic renders the migrations as SQL for a dialect; each database runs the script with its own client in one
transaction. So a migration is SQL only, and needs no second driver.
"""

import io
from functools import cache

from databot.types.errors import ConfigError

HEAD = "0002"
"""The version this code works with; a test holds it against the newest file of `migrations/versions`."""


def pending(found: str | None, where: object) -> bool:
    """Whether the database (at version `found`) must be brought up to date.

    Raises:
        ConfigError: it was made by a newer databot than this.
    """
    if found is None or found < HEAD:
        return True
    if found == HEAD:
        return False
    raise ConfigError(
        f"the database {where} was made by a newer databot (schema {found}, this one knows {HEAD})",
        hint="upgrade databot, or restore a backup made by this version",
    )


@cache
def script_between(start: str | None, end: str, dialect: str) -> str:
    """The SQL that leads from one version (`None`: nothing) to another, without BEGIN and COMMIT."""
    from alembic import command
    from alembic.config import Config

    script = io.StringIO()
    config = Config(output_buffer=script, attributes={"dialect": dialect})
    config.set_main_option("script_location", "databot.storage:migrations")
    command.upgrade(config, f"{start}:{end}" if start else end, sql=True)
    return script.getvalue()
