"""Where the log of a command goes: a file beside the data, so that the terminal stays clean; with --debug to stderr.

The gateway is not a command in this sense: it owns its stderr and configures its own log.
"""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from databot.app.secrets import known_secrets
from databot.cli.status import DEBUG_VARIABLE
from databot.observability.logs import LineFormatter, Redacting, configure_logs, send_logs_to

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
    secrets = known_secrets(settings)
    if os.environ.get(DEBUG_VARIABLE):
        configure_logs("debug", "text", secrets)
        return
    redacting = Redacting(secrets)
    handler = PrivateFile(settings.data_dir / NAME, maxBytes=LARGEST, backupCount=1, delay=True)
    handler.addFilter(redacting)
    handler.setFormatter(LineFormatter(redacting))
    send_logs_to(handler, settings.observability.log_level)


def log_place() -> str:
    """The file that has the details of a failure; empty when there is none."""
    files = [item for item in logging.getLogger().handlers if isinstance(item, PrivateFile)]
    return files[0].baseFilename if files else ""
