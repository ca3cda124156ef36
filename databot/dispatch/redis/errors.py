"""What Redis and its client say, in words a person can act on: never a command, a value or a login."""

import asyncio
import ssl

from redis import exceptions

from databot.types.errors import DispatchUnavailable
from databot.types.tls_trouble import trouble_of

TROUBLE = (exceptions.RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)
"""What any command may raise; a TimeoutError of ours is one of these."""
LOGIN = ("refuses the login", "look at the user and the password in dispatch.url")
BY_CODE = {
    "WRONGPASS": LOGIN,
    "NOAUTH": ("wants a login", "put the user and the password into dispatch.url"),
    "NOPERM": (
        "does not let this user do what databot needs",
        "allow it the keys databot:* and the commands +@stream +@connection +expire +info",
    ),
    "OOM": ("is out of memory and takes nothing", "raise maxmemory, or look what fills it"),
    "READONLY": ("is a read-only replica", "point dispatch.url at the primary"),
    "MISCONF": ("cannot save to its disk and takes nothing", "look at the log of Redis"),
    "LOADING": ("is still loading its data", "wait until it has"),
    "CLUSTERDOWN": ("is a cluster that is down", "look at the cluster"),
    "MOVED": ("is part of a cluster", "point dispatch.url at a single server or a proxy"),
    "DENIED": (
        "is in protected mode and takes no connections from other machines",
        "give it a password, and put that into dispatch.url",
    ),
}
CODES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.AskError, "MOVED"),
)
"""For these the client cuts the code from the text."""


def reason_of(error: BaseException) -> tuple[str, str]:
    """What is wrong with the server, as the end of a sentence, and what to do."""
    if trouble := trouble_of(beneath(error)):
        return f"does not take our encrypted connection: {trouble.what}", trouble.hint
    code = code_of(error)
    if code in BY_CODE:
        return BY_CODE[code]
    if isinstance(error, exceptions.AuthenticationError):
        return login_trouble(error)
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return "does not answer in time", "look whether it is overloaded, or a firewall drops it"
    if isinstance(error, exceptions.ResponseError):
        return f"refused a command ({code})", "databot needs Redis 6.2 or newer"
    return "cannot be reached", "look whether it runs, and at the host and port in dispatch.url"


def beneath(error: BaseException) -> BaseException:
    """The error of TLS that the client's own was made of, if there was one: the client does not name it as the cause."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, ssl.SSLError):
            return current
        current = current.__cause__ or current.__context__
    return error


def login_trouble(error: BaseException) -> tuple[str, str]:
    if "without any password" in str(error):
        return "has no password", "leave the password out of dispatch.url, or set one in Redis"
    return LOGIN


def code_of(error: BaseException) -> str:
    """The code Redis begins its errors with, such as `OOM`; the name of the error where it has none."""
    for kind, code in CODES:
        if isinstance(error, kind):
            return code
    first = str(error).lstrip("-").partition(" ")[0]
    return (
        first if first.isascii() and first.isalpha() and first.isupper() else type(error).__name__
    )


def unavailable(error: BaseException, where: object) -> DispatchUnavailable:
    """The error as databot tells it."""
    what, hint = reason_of(error)
    return DispatchUnavailable(f"Redis at {where} {what}", hint=hint)
