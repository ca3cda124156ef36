"""The errors of SQL connectors, worded once: what failed, where, what to do next.

Vendors' texts are kept where they help to mend a statement, always scrubbed of the password and cut to one line.
"""

from databot.connectors.sql.driver import Target
from databot.types.errors import ConnectorError, shorten


def one_line(text: str, limit: int = 300) -> str:
    """A vendor's text as one line."""
    return shorten(" ".join(text.split()), limit)


def problem(
    target: Target, message: str, kind: str, *, hint: str = "", retryable: bool = False
) -> ConnectorError:
    """A `ConnectorError` that starts with the connector's name and never holds its password."""
    return ConnectorError(
        f"{target.name}: {target.address.scrub(one_line(message))}",
        kind=kind,
        connector=target.name,
        hint=target.address.scrub(hint),
        retryable=retryable,
    )


def timed_out(target: Target, seconds: float) -> ConnectorError:
    return problem(
        target,
        f"the query was stopped after {seconds:g} s",
        "timeout",
        hint="narrow it with a filter or an aggregate, or raise timeout_s",
    )


def saturated(target: Target) -> ConnectorError:
    return problem(
        target,
        f"all {target.pool_size} connections are busy; waited {target.pool_wait_s:g} s for one",
        "unavailable",
        hint="try again, or raise pool_size",
        retryable=True,
    )


def unreachable(target: Target, reason: str) -> ConnectorError:
    return problem(
        target,
        f"cannot reach {target.address.place}: {reason}",
        "unavailable",
        hint="check that the server runs and that host and port are right",
        retryable=True,
    )


def refused_login(target: Target, reason: str, *, hint: str = "") -> ConnectorError:
    """`hint` where the reason is known to be another one than a wrong user or password."""
    user = target.address.user or ""
    return problem(
        target,
        f"{target.address.place} refused the login of {user!r}: {reason}",
        "auth",
        hint=hint
        or f"check user and password in connectors.{target.name}.url; "
        "special characters of a password are percent-encoded",
    )


def closed(target: Target) -> ConnectorError:
    return problem(target, "the connector was closed", "unavailable")
