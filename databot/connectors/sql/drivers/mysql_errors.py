"""asyncmy's errors as ours, by the server's error number."""

from databot.connectors.sql.driver import Target
from databot.connectors.sql.problems import problem, refused_login, unreachable
from databot.connectors.sql.tls import NOT_OFFERED, hint_when_lost, tls_of_address, told
from databot.types.errors import ConnectorError
from databot.types.tls_trouble import trouble_of

_LOGIN = {1045, 1698, 1251, 2054, 2059, 1862, 4151}
_FORBIDDEN = {1044, 1142, 1143, 1227, 1370}
_STOPPED = {1969, 3024, 1205}
_KILLED = {1317, 1927}
_READ_ONLY = {1792, 1290, 1836}
_FULL = {1040, 1203, 1226}
_GONE = {2006, 2013, 2014, 1053, 1077, 1080, 4031}
_UNREACHABLE = {2002, 2003, 2005}
NOT_OFFERED_NUMBER = 2026
"""CR_SSL_CONNECTION_ERROR of MySQL's own client."""
_LOST = {0, NOT_OFFERED_NUMBER, *_GONE, *_UNREACHABLE}


def translate(target: Target, error: Exception) -> ConnectorError:
    """The vendor's error, told in one line."""
    number, text = parts_of(error)
    if number in _LOGIN:
        return refused_login(target, text, hint=hint_of_login(target))
    if isinstance(error, OSError) or number in _LOST:
        return lost(target, error)
    if number in _STOPPED:
        return problem(target, f"the server stopped the query: {text}", "timeout")
    if number in _KILLED:
        return problem(target, "the query was stopped", "cancelled")
    if number in _FULL:
        return problem(target, text, "rate_limited", retryable=True)
    return problem(target, text, kind_of(number), hint=hint_of(number))


def lost(target: Target, error: Exception) -> ConnectorError:
    """There is no connection, or no longer."""
    number, text = parts_of(error)
    if number == NOT_OFFERED_NUMBER:
        return told(target, NOT_OFFERED)
    if trouble := trouble_of(error):
        return told(target, trouble)
    if isinstance(error, OSError) or number in _UNREACHABLE:
        return unreachable(target, text)
    return problem(
        target,
        f"the connection failed: {text}",
        "unavailable",
        hint=hint_when_lost(target),
        retryable=True,
    )


def kind_of(number: int) -> str:
    if number == 1049:
        return "not_found"
    if number in _FORBIDDEN:
        return "forbidden"
    if number in _READ_ONLY:
        return "read_only"
    return "bad_request"


def hint_of(number: int) -> str:
    if number in _FORBIDDEN:
        return "grant the user SELECT on it, or ask for something else"
    return "this connection only reads" if number in _READ_ONLY else ""


def hint_of_login(target: Target) -> str:
    """MariaDB does not say whether a password is wrong, or TLS is missing."""
    tls = tls_of_address(target.address)
    if tls is None or tls.mode != "disable":
        return ""
    return (
        f"check user and password in connectors.{target.name}.url; "
        "with sslmode=disable an account that demands TLS is refused like this too"
    )


def parts_of(error: Exception) -> tuple[int, str]:
    """The error's number and text; 0 where there is none."""
    if isinstance(error, OSError):
        return 0, error.strerror or str(error)
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        return error.args[0], str(error.args[1])
    return (0, str(error)) if not isinstance(error, ValueError | OverflowError) else (1, str(error))
