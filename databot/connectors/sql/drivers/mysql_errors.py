"""asyncmy's errors as ours, by the server's error number."""

from databot.connectors.sql.driver import Target
from databot.connectors.sql.problems import problem, refused_login, unreachable
from databot.types.errors import ConnectorError

_LOGIN = {1045, 1698, 1251, 2054, 2059, 1862, 4151}
_FORBIDDEN = {1044, 1142, 1143, 1227, 1370}
_STOPPED = {1969, 3024, 1205}
_KILLED = {1317, 1927}
_READ_ONLY = {1792, 1290, 1836}
_FULL = {1040, 1203, 1226}
_GONE = {2006, 2013, 2014, 1053, 1077, 1080, 4031}
_UNREACHABLE = {2002, 2003, 2005}


def translate(target: Target, error: Exception) -> ConnectorError:
    """The vendor's error, told in one line."""
    number, text = parts_of(error)
    if number in _LOGIN:
        return refused_login(target, text)
    if isinstance(error, OSError) or number in _UNREACHABLE:
        return unreachable(target, text)
    if number in _STOPPED:
        return problem(target, f"the server stopped the query: {text}", "timeout")
    if number in _KILLED:
        return problem(target, "the query was stopped", "cancelled")
    if number in _FULL:
        return problem(target, text, "rate_limited", retryable=True)
    if number in _GONE or number == 0:
        return problem(target, f"the connection failed: {text}", "unavailable", retryable=True)
    return problem(target, text, kind_of(number), hint=hint_of(number))


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


def parts_of(error: Exception) -> tuple[int, str]:
    """The error's number and text; 0 where there is none."""
    if isinstance(error, OSError):
        return 0, error.strerror or str(error)
    if len(error.args) >= 2 and isinstance(error.args[0], int):
        return error.args[0], str(error.args[1])
    return (0, str(error)) if not isinstance(error, ValueError | OverflowError) else (1, str(error))
