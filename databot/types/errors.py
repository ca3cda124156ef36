"""Everything that can go wrong, as one tree.

    DatabotError
    ├── ConfigError                 the configuration cannot be used
    │   └── MissingExtra            an optional dependency is not installed
    ├── RequestError                the caller asked for something impossible (4xx)
    │   ├── Unauthorized · Forbidden · NotFound · Conflict · TooLarge
    │   └── Busy                    try again later; carries `retry_after_s`
    ├── ProviderError               the language model did not answer
    │   ├── ProviderAuthFailed · UnknownModel · ContextOverflow · ProviderBadResponse
    │   └── ProviderUnavailable     transient: unreachable, rate limited, time-out, 5xx
    │       └── ProviderRateLimited · ProviderTimeout · ProviderUnreachable
    ├── ToolError                   the only errors whose text reaches the model
    │   ├── ToolNotFound · ToolNotAllowed · InvalidToolArguments · ToolTimeout · QueryRefused
    ├── ConnectorError              a data system did not do what it was asked; has a `kind`
    ├── StorageError                databot's own database failed
    │   ├── StorageUnavailable      locked, full, read-only or unreachable: try again
    │   └── ClaimLost               another worker has taken the work over: stop, and write nothing
    ├── DispatchUnavailable         the engine between replicas does not answer; nothing is lost with it
    └── TurnCancelled               somebody stopped the turn

Long because it is the whole tree. Errors carry data and build their own message. A vendor's error is translated once, where it is caught, with `from`.
Only `describe(error)` reaches a person and only a `ToolError`'s text reaches the model.
"""

from collections.abc import Sequence


class DatabotError(Exception):
    """Base of every error databot raises on purpose.

    `type` is the machine-readable name used in HTTP bodies and events; `hint` says what to do next.
    """

    type = "internal_error"
    status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(DatabotError):
    """The configuration cannot be used."""

    type = "config_error"


class MissingExtra(ConfigError):
    """An optional dependency is needed and not installed."""

    type = "missing_extra"

    def __init__(self, feature: str, *, extra: str) -> None:
        super().__init__(
            f"{feature} needs an optional dependency that is not installed",
            hint=f"install it with: pip install 'databot-daemon[{extra}]'",
        )
        self.extra = extra


class RequestError(DatabotError):
    """The caller asked for something that cannot be done as asked."""

    type = "invalid_request"
    status = 400


class Unauthorized(RequestError):
    """No valid credential was given."""

    type = "unauthorized"
    status = 401


class Forbidden(RequestError):
    """The caller is known and may not do this."""

    type = "forbidden"
    status = 403


class NotFound(RequestError):
    """The thing does not exist for this caller; foreign and missing things look the same."""

    type = "not_found"
    status = 404

    def __init__(self, kind: str, name: str, *, hint: str = "") -> None:
        super().__init__(f"no {kind} named {shorten(name)!r}", hint=hint)
        self.kind = kind
        self.name = name


class Conflict(RequestError):
    """The thing is not in a state that allows this."""

    type = "conflict"
    status = 409


class TooLarge(RequestError):
    """The input is over a limit."""

    type = "too_large"
    status = 413


class Busy(RequestError):
    """Nothing was accepted because too much is waiting; try again after `retry_after_s` seconds."""

    type = "busy"
    status = 429

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint=f"try again in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class ProviderError(DatabotError):
    """The language model did not give a usable answer."""

    type = "model_error"
    status = 502


class ProviderAuthFailed(ProviderError):
    """The vendor refused the key."""

    type = "model_auth_failed"


class UnknownModel(ProviderError):
    """The vendor has no such model, or no provider serves it."""

    type = "model_unknown"


class ContextOverflow(ProviderError):
    """The prompt is longer than the model's window."""

    type = "model_context_overflow"


class ProviderBadResponse(ProviderError):
    """The answer was not what the protocol promises (HTML, cut JSON, an empty choice …)."""

    type = "model_bad_response"


class ProviderUnavailable(ProviderError):
    """A passing failure: the same call may work later. `retry_after_s` is the vendor's wish, if it said one."""

    type = "model_unavailable"
    status = 503

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ProviderRateLimited(ProviderUnavailable):
    """The vendor limits the rate of calls."""

    type = "model_rate_limited"


class ProviderTimeout(ProviderUnavailable):
    """No answer, or no further token, within the time limit."""

    type = "model_timeout"
    status = 504


class ProviderUnreachable(ProviderUnavailable):
    """No connection to the vendor could be made, or it was cut."""

    type = "model_unreachable"


class ToolError(DatabotError):
    """A tool could not do its work; the text is written for the model to act on."""

    type = "tool_error"


class ToolNotFound(ToolError):
    """The model asked for a tool that does not exist."""

    type = "tool_not_found"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no tool {shorten(name)!r}; the tools are: {', '.join(known)}")
        self.name = name


class ToolNotAllowed(ToolError):
    """The tool exists and this agent may not use it."""

    type = "tool_not_allowed"

    def __init__(self, name: str, why: str = "it is outside this agent's scope") -> None:
        super().__init__(f"the tool {shorten(name)!r} was not run: {why}")
        self.name = name


class InvalidToolArguments(ToolError):
    """The arguments are not JSON, or do not fit the tool's schema."""

    type = "tool_invalid_arguments"


class ToolTimeout(ToolError):
    """The tool was stopped at its time limit."""

    type = "tool_timeout"

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(f"the tool {name!r} was stopped after {seconds:g} s without a result")
        self.name = name


class QueryRefused(ToolError):
    """The SQL guard refused a statement; the reason is one a person understands."""

    type = "query_refused"
    status = 400


class ConnectorError(DatabotError):
    """A data system did not do what it was asked.

    `kind` is one of auth, forbidden, not_found, timeout, cancelled, rate_limited, unavailable, bad_request, too_large,
    unsupported, read_only. `retryable` says whether the same call may work later.
    """

    type = "connector_error"
    status = 502

    def __init__(
        self,
        message: str,
        *,
        kind: str = "unavailable",
        connector: str = "",
        hint: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.connector = connector
        self.retryable = retryable


class StorageError(DatabotError):
    """databot's own database failed in a way that trying again will not mend."""

    type = "storage_error"


class StorageUnavailable(StorageError):
    """databot's own database cannot take the write now (locked, full, read-only, unreachable)."""

    type = "storage_unavailable"
    status = 503


class ClaimLost(StorageError):
    """Another worker has claimed the work since: what this one still finds out must not be written.

    Raised by every write that carries a fence. It is no failure of the work, which goes on elsewhere.
    """

    type = "claim_lost"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} has been taken over by another worker")


class DispatchUnavailable(DatabotError):
    """The engine between the replicas does not answer; work is found by the sweeper meanwhile."""

    type = "dispatch_unavailable"
    status = 503


class TurnCancelled(DatabotError):
    """Somebody stopped the turn before it was answered."""

    type = "cancelled"
    status = 409

    def __init__(self, message: str = "the turn was cancelled") -> None:
        super().__init__(message)


class TurnTimedOut(DatabotError):
    """A turn ran for longer than it may."""

    type = "turn_timeout"
    status = 504

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the turn was stopped after {limit_s:g} s")


def describe(error: BaseException) -> str:
    """The one line a person may see: what failed and what to do next, never a vendor's or a stack's text."""
    if not isinstance(error, DatabotError):
        return "something went wrong inside databot; the log has the details"
    return f"{error.message} ({error.hint})" if error.hint else error.message


def shorten(text: str, limit: int = 80) -> str:
    """`text` cut to `limit` characters, with an ellipsis where something was left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
