"""asyncpg's errors as ours, by SQLSTATE."""

from databot.connectors.sql.driver import Target
from databot.connectors.sql.problems import problem, refused_login, timed_out, unreachable
from databot.connectors.sql.tls import NOT_OFFERED, hint_when_lost, told
from databot.types.errors import ConnectorError
from databot.types.tls_trouble import trouble_of

_KINDS = {
    "3D000": "not_found",
    "42501": "forbidden",
    "25006": "read_only",
    "55P03": "timeout",
    "53300": "rate_limited",
    "53200": "too_large",
    "53400": "too_large",
}
_CLASSES = {"08": "unavailable", "57": "unavailable", "53": "unavailable", "58": "unavailable"}
_HINTS = {
    "read_only": "this connection only reads",
    "forbidden": "grant the role SELECT on it, or ask for something else",
}


def translate(target: Target, error: BaseException) -> ConnectorError:
    """The vendor's error, told in one line."""
    state: str = getattr(error, "sqlstate", None) or ""
    text = str(error)
    if state.startswith("28"):
        return refused_login(target, text, hint=hint_of_login(text))
    if state == "57014":
        return problem(target, f"the server stopped the query: {text}", "timeout")
    if isinstance(error, OSError) or state in ("08003", "08006"):
        return lost(target, error)
    if (
        type(error).__name__ == "ClientConfigurationError"
    ):  # asyncpg's own look at options and PG… variables
        return problem(target, text, "unavailable", hint="look at the options of the URL")
    if isinstance(error, ValueError | OverflowError):
        return problem(
            target,
            f"a value of the result cannot be read: {text}",
            "bad_request",
            hint="cast the column to text",
        )
    if not state:
        return problem(target, f"the connection failed: {text}", "unavailable", retryable=True)
    kind = _KINDS.get(state) or _CLASSES.get(state[:2], "bad_request")
    return problem(
        target,
        text,
        kind,
        hint=getattr(error, "hint", None) or _HINTS.get(kind, ""),
        retryable=kind in ("unavailable", "rate_limited", "timeout"),
    )


def lost(target: Target, error: BaseException) -> ConnectorError:
    """There is no connection, or no longer."""
    text = str(error)
    if isinstance(error, TimeoutError):
        return timed_out(target, 0)
    if "rejected SSL upgrade" in text:
        return told(target, NOT_OFFERED)
    if trouble := trouble_of(error):
        return told(target, trouble)
    if isinstance(error, OSError):
        return unreachable(target, error.strerror or text)
    return problem(target, text, "unavailable", hint=hint_when_lost(target), retryable=True)


def hint_of_login(text: str) -> str:
    """What to do when the server turns the connection away for how it comes, not for who comes."""
    if "no encryption" in text or "SSL off" in text:
        return "the server may want TLS: set sslmode=verify-full, or require"
    if "client certificate" in text:
        return "name the certificate and its key in sslcert and sslkey"
    return ""
