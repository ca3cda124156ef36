"""Translating LiteLLM's exceptions into databot's errors.

LiteLLM wraps what happened two or three times, and turns broken answers into "500" and cut connections into
"InternalServerError"; so the whole chain of causes is looked at. Reads names and attributes only: LiteLLM need not be
imported to import this.
"""

import re
from collections.abc import Iterator, Mapping

from databot.providers.connection import (
    BodyTooLong,
    LedElsewhere,
    ended_early,
    silent,
    too_long,
    unreachable,
)
from databot.providers.errors import (
    MAX_WORDS,
    OVERFLOW,
    Complaint,
    Place,
    bad_body,
    overflow,
    translate,
    unknown_model,
)
from databot.types.errors import ProviderAuthFailed, ProviderBadResponse, ProviderError

BROKEN = frozenset({"JSONDecodeError", "UnicodeDecodeError", "DecodingError"})
NOT_HTTP = frozenset({"ClientResponseError", "BadHttpMessage"})
MISSHAPEN = re.compile(r"Invalid response object|provider returned 'choices'")
CONNECT = frozenset(
    {"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError", "gaierror"}
)
SILENT = frozenset({"Timeout", "TimeoutError", "ReadTimeout", "APITimeoutError"})
CUT = frozenset({"ReadError", "RemoteProtocolError", "ClientPayloadError"})
NO_KEY = re.compile(r"missing\b.{0,60}(key|credentials)|no api key", re.IGNORECASE | re.DOTALL)
NO_VENDOR = re.compile(r"LLM Provider NOT provided|Unknown provider", re.IGNORECASE)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "original_exception", None)]


def translate_litellm(error: Exception, place: Place, timeout_s: float) -> ProviderError:
    """The databot error for anything LiteLLM raises."""
    led_here = list(chain(error))
    for one in led_here:
        if isinstance(one, BodyTooLong):
            return too_long(place, one.limit)
        if isinstance(one, LedElsewhere):
            return translate(Complaint(status=one.status), place, {})
    names = {type(one).__name__ for one in led_here}
    text = str(error)[:MAX_WORDS]
    return by_name(names, text, place, timeout_s) or worded(error, text, names, place)


def by_name(names: set[str], text: str, place: Place, timeout_s: float) -> ProviderError | None:
    """By the kinds of error that led here; `None` when they do not tell."""
    if "ContextWindowExceededError" in names or OVERFLOW.search(text):
        return overflow(place)
    if names & NOT_HTTP:
        return bad_body(place, "something that is not HTTP", hint="check llm.api_base")
    if names & BROKEN or MISSHAPEN.search(text):
        return bad_body(place, "something that is not the JSON it promised")
    if names & CONNECT:
        return unreachable(place, "no connection", "check llm.api_base, the network and the proxy")
    if names & SILENT:
        return silent(place, timeout_s)
    return ended_early(place) if names & CUT else None


def worded(error: Exception, text: str, names: set[str], place: Place) -> ProviderError:
    """By what LiteLLM says, then by its status."""
    if NO_VENDOR.search(text):
        return unknown_model(place)
    if NO_KEY.search(text):
        return ProviderAuthFailed(
            f"there is no API key for {place.model!r}",
            hint="set llm.api_key, or the vendor's key variable",
        )
    if "Empty or invalid response" in text:
        hint = "check llm.api_base: it usually ends with /v1"
        return bad_body(place, "a web page instead of JSON", hint=hint)
    if names & {"ImportError", "ModuleNotFoundError"}:
        return ProviderBadResponse(
            f"calling {place.model!r} needs a library that is not installed",
            hint="the log names it; install it beside databot",
        )
    return translate(complaint(error, text), place, headers_of(error))


def complaint(error: Exception, text: str) -> Complaint:
    status = getattr(error, "status_code", None)
    return Complaint(
        status=status if isinstance(status, int) else 502,
        message=text,
        code=str(getattr(error, "code", None) or ""),
    )


def headers_of(error: Exception) -> Mapping[str, str]:
    """The vendor's response headers, wherever LiteLLM put them."""
    response = getattr(error, "response", None)
    found = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    if not isinstance(found, Mapping):
        return {}
    named = {"retry-after": "Retry-After", "date": "Date", "retry-after-ms": "retry-after-ms"}
    return {
        named[str(key).lower()]: str(value)
        for key, value in found.items()
        if str(key).lower() in named
    }
