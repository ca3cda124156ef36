"""What PostgreSQL and its client say, as one line of ours: without statement, values or login.

The client gives no code for a connection that was refused, only the server's text. It is read in English; in another
language every refusal counts as one that may pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from procrastinate.exceptions import ProcrastinateException

from databot.types.errors import ConfigError, DatabotError, DispatchUnavailable

OUTAGE = (psycopg.Error, ProcrastinateException, OSError)
"""What says that the server, the way to it or our place there is not as it should be. TimeoutError is an OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong, what to do, and whether it may pass by itself."""

    what: str
    hint: str
    passing: bool = False


ABSENT = Trouble(
    what="does not answer", hint="look whether the server runs and is reached", passing=True
)
BY_TEXT = (
    (r"authentication failed|no password supplied",
     Trouble(what="refused the login", hint="look at the user and the password in the URL")),
    (r"pg_hba\.conf",
     Trouble(what="lets nobody in this way", hint="look at pg_hba.conf, and whether it wants TLS (sslmode)")),
    (r"does not support SSL",
     Trouble(what="offers no TLS", hint="switch it on there, or set sslmode=disable")),
    (r"certificate|SSL error",
     Trouble(what="and we do not trust each other's certificates", hint="look at sslmode, sslrootcert, sslcert and sslcrl")),
    (r"permission denied",
     Trouble(what="does not let this user in", hint="grant CONNECT on the database")),
    (r'role ".*" does not exist',
     Trouble(what="has no such user", hint="create it, or correct the URL")),
    (r'database ".*" does not exist',
     Trouble(what="has no such database", hint="create it, or correct the URL")),
)  # fmt: skip
BY_STATE = {
    "42501": Trouble(
        what="does not let this user make the tables of dispatch",
        hint="grant CREATE on the database, or let its owner make the schema for this user",
    ),
    "25006": Trouble(
        what="is read-only (a standby?)", hint="point dispatch.url at the primary", passing=True
    ),
    "53": Trouble(
        what="has no disk, memory or connections left", hint="look at the server", passing=True
    ),
    "55P03": Trouble(what="is locked by another program", hint="try again", passing=True),
    "57": Trouble(what="is shutting down or starting", hint="try again", passing=True),
}
PASSING_TEXTS = ("starting up", "shutting down", "too many clients", "not yet accepting")


def trouble_of(error: BaseException) -> Trouble:
    """What is wrong, told by the first in the chain of causes that says something."""
    for cause in chain(error):
        state = getattr(cause, "sqlstate", None) or ""
        if known := BY_STATE.get(state) or BY_STATE.get(state[:2]):
            return known
        if isinstance(cause, psycopg.OperationalError) and (known := by_text(str(cause))):
            return known
        if state and not isinstance(cause, psycopg.OperationalError):
            return Trouble(
                what=f"refused a statement ({state})", hint="look at its log", passing=True
            )
    return ABSENT


def by_text(text: str) -> Trouble | None:
    if any(passing in text for passing in PASSING_TEXTS):
        return ABSENT
    return next((trouble for pattern, trouble in BY_TEXT if re.search(pattern, text)), None)


def chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def line(error: BaseException, where: object) -> str:
    return f"PostgreSQL {where} {trouble_of(error).what}"


def translate(error: BaseException, where: object) -> DatabotError:
    """The error as databot tells it: `ConfigError` for what will not pass by itself."""
    trouble = trouble_of(error)
    kind = DispatchUnavailable if trouble.passing else ConfigError
    return kind(f"dispatch: {line(error, where)}", hint=trouble.hint)


def is_about_one_item(error: BaseException) -> bool:
    """Whether the server looked at what it was given and refused that, rather than being in trouble itself."""
    return any(
        isinstance(cause, psycopg.DataError | psycopg.IntegrityError)
        or "Enqueued" in type(cause).__name__
        for cause in chain(error)
    )
