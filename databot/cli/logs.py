"""Where the log of a command goes: a file beside the data, so that the terminal stays clean; with --debug to stderr.

The gateway is not a command in this sense: it owns its stderr and configures its own log.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, cast

from databot.cli.status import DEBUG_VARIABLE
from databot.observability.logs import QUIET, LineFormatter, Redacting, configure_logs

if TYPE_CHECKING:
    from databot.config.settings import Settings

NAME = "databot.log"
LARGEST = 1_000_000


class PrivateFile(RotatingFileHandler):
    """A log only its owner can read, made when there is something to write; a full disk is not a command's failure."""

    def _open(self):  # noqa: ANN202 - as the class it overrides
        path = Path(self.baseFilename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging calls
        del record


def log_command(settings: "Settings") -> None:
    """Send the log of this process to `<data_dir>/databot.log`, or to stderr when it is being debugged."""
    secrets = list(secrets_in(settings.model_dump(), ""))
    if os.environ.get(DEBUG_VARIABLE):
        configure_logs("debug", "text", secrets)
        return
    redacting = Redacting(secrets)
    handler = PrivateFile(settings.data_dir / NAME, maxBytes=LARGEST, backupCount=1, delay=True)
    handler.addFilter(redacting)
    handler.setFormatter(LineFormatter(redacting))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.observability.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def log_place() -> str:
    """The file that has the details of a failure; empty when there is none."""
    files = [item for item in logging.getLogger().handlers if isinstance(item, PrivateFile)]
    return files[0].baseFilename if files else ""


def secrets_in(value: object, key: str) -> Iterator[str]:
    """Every secret of a dumped configuration: secret values, values of secret keys, passwords in URLs."""
    from pydantic import SecretStr

    from databot.cli.settings_view import SECRET_KEY, USERINFO

    if isinstance(value, Mapping):
        for name, item in cast("Mapping[str, object]", value).items():
            yield from secrets_in(item, name)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from secrets_in(item, key)
    elif isinstance(value, SecretStr) and key != "url":
        yield value.get_secret_value()
    else:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str):
            match = USERINFO.search(text)
            yield from (match["password"],) if match else ()
            yield from (text,) if SECRET_KEY.search(key) else ()
