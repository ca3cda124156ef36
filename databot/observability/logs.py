"""Logs: one line an event on stderr, as text or JSON, with the turn they belong to and without any secret.

Configured once by the process that owns stderr; libraries and rooms only call `logging.getLogger`.
"""

import json
import logging
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

current_turn: ContextVar[str] = ContextVar("current_turn", default="")
"""The turn whose work is being done; for logs only, never for decisions."""

HIDDEN = "[secret]"
LEAST_SECRET = 6
QUIET = (
    "aiohttp.access",
    "httpx",
    "httpcore",
    "LiteLLM",
    "chromadb",
    "alembic",
    "asyncio",
    "redis",
)
"""Libraries that are only heard from `warning` on."""
SILENT = {"sqlglot": logging.ERROR, "procrastinate": logging.CRITICAL, "psycopg": logging.CRITICAL}
"""Libraries whose lines hold statements, conversations or addresses, and from which level on they are heard.

What goes wrong between databot and PostgreSQL's dispatch is told by databot, once.
"""


class Redacting(logging.Filter):
    """Replaces every known secret in a record's text, and adds the turn."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = sorted(
            {s for s in secrets if len(s) >= LEAST_SECRET}, key=len, reverse=True
        )

    def filter(self, record: logging.LogRecord) -> bool:
        record.turn = current_turn.get()
        if self._secrets:
            record.msg, record.args = self.clean(record.getMessage()), ()
        return True

    def clean(self, text: str) -> str:
        """The text with every known secret replaced."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class LineFormatter(logging.Formatter):
    """A text line, its traceback cleaned of secrets too; the turn is named once."""

    def __init__(self, redacting: Redacting) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s%(who)s %(message)s")
        self._redacting = redacting

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name logging calls
        turn = getattr(record, "turn", "")
        record.who = f" {turn}" if turn and turn not in record.message else ""
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - the name logging calls
        return self._redacting.clean(super().formatException(ei))  # type: ignore[arg-type] - as logging passes it


class JsonFormatter(LineFormatter):
    """A JSON object a line; what a line tells as `fields` are keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if turn := getattr(record, "turn", ""):
            entry["turn_id"] = turn
        entry |= {name: self._cleaned(value) for name, value in fields_of(record).items()}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)

    def _cleaned(self, value: object) -> object:
        return self._redacting.clean(value) if isinstance(value, str) else value


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What a line says besides its words: `log.info(…, extra={"fields": {…}})`."""
    return getattr(record, "fields", {})


def configure_logs(level: str, style: Literal["text", "json"], secrets: Iterable[str] = ()) -> None:
    """Send the process's logs to stderr."""
    redacting = Redacting(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(redacting)
    handler.setFormatter(JsonFormatter(redacting) if style == "json" else LineFormatter(redacting))
    send_logs_to(handler, level)


def send_logs_to(handler: logging.Handler, level: str) -> None:
    """Make `handler` the only one, and quieten the libraries that say too much."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name, least in SILENT.items():
        logging.getLogger(name).setLevel(max(least, root.level))
