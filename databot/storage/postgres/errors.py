"""What PostgreSQL and its client say, as errors of databot: one line, without statement, values or login."""

import asyncpg

from databot.types.errors import ConfigError, DatabotError, StorageError, StorageUnavailable
from databot.types.tls_trouble import Trouble, trouble_of

# By SQLSTATE class or code: what is wrong, and what to do about it.
PASSING = {
    "08": ("lost the connection", "look whether the server runs"),
    "25006": ("is read-only (a standby?)", "point storage.url at the primary"),
    "40": ("asked to repeat the transaction", "try again"),
    "53": ("has no disk, memory or connections left", "look at the server's resources"),
    "55P03": ("is locked by another program", "try again"),
    "57": ("is shutting down, or stopped the statement", "try again"),
    "58": ("has trouble with its disk", "look at the server's log"),
}
AT_OPEN = {
    "28": ("refused the login", "look at the user and the password in storage.url"),
    "3D": ("has no such database", "create it, or correct storage.url"),
    "42501": (
        "does not let this user create tables",
        "grant CREATE on the schema to the user in storage.url",
    ),
    "3F": ("has no such schema", "create it, or correct search_path in storage.url"),
}
NO_TLS = Trouble(
    what="it offers no TLS",
    hint="switch it on there, or set sslmode=disable in storage.url to send everything in plain text",
)
TLS_WANTED = Trouble(what="it wants TLS", hint="set sslmode=verify-full or require in storage.url")
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection says that was dropped while nobody used it
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


def is_lost(error: BaseException) -> bool:
    """Whether it was this one connection that failed; a time-out is the server's answer and not asked for twice."""
    return isinstance(error, LOST) and not isinstance(error, TimeoutError)


def is_repeatable(error: BaseException | None) -> bool:
    """Whether the server undid the transaction for the sake of another, and it can simply be run again."""
    return state_of(error).startswith("40")


def is_read_only(error: BaseException) -> bool:
    """Whether the server is a standby: the primary it was has moved, or is about to be named."""
    return state_of(error) == "25006"


def is_not_yet(error: BaseException) -> bool:
    """Whether the server is there and gives no connection now: all are taken, or it is just starting."""
    return state_of(error) in ("53300", "57P03")


def state_of(error: BaseException | None) -> str:
    """The SQLSTATE; empty where there is none."""
    return str(getattr(error, "sqlstate", None) or "")


def translate(error: BaseException, where: object) -> DatabotError:
    """The error as databot tells it."""
    if isinstance(error, DatabotError):
        return error
    state = state_of(error)
    known = matching(state, PASSING)
    if known:
        return StorageUnavailable(f"the database {where} {known[0]}", hint=known[1])
    if trouble := encryption_trouble(error):
        return StorageUnavailable(f"the server of {where}: {trouble.what}", hint=trouble.hint)
    if isinstance(error, LOST):
        return StorageUnavailable(
            f"the database {where} does not answer", hint="look whether the server runs"
        )
    return StorageError(
        f"the database {where} refused a statement ({state or type(error).__name__})"
    )


def translate_at_open(error: BaseException, where: object) -> DatabotError:
    """The error while opening: a refused login or a missing database is a mistake of the configuration."""
    state = state_of(error)
    trouble = encryption_trouble(error)
    if trouble and not trouble.passing:
        return ConfigError(f"the server of {where}: {trouble.what}", hint=trouble.hint)
    known = matching(state, AT_OPEN)
    if known:
        return ConfigError(f"the server of {where} {known[0]}", hint=known[1])
    if isinstance(error, asyncpg.ClientConfigurationError | ValueError) and not trouble:
        return ConfigError("storage.url cannot be used as it is", hint="look at its options")
    return translate(error, where)


def encryption_trouble(error: BaseException) -> Trouble | None:
    """What TLS has to do with it, when it has."""
    text = str(error)
    if "rejected SSL upgrade" in text:
        return NO_TLS
    if "pg_hba.conf" in text and ("no encryption" in text or "SSL off" in text):
        return TLS_WANTED
    return trouble_of(error)


def matching(state: str, table: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    return table.get(state) or table.get(state[:2]) if state else None
