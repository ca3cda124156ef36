"""Translating what model servers say when they fail into databot's errors.

Pure functions over status, headers and body. The vendor's own words stay in the cause (`VendorAnswer`), where a log
shows them; they never reach a person, a model or a message. Keys appear nowhere.
"""

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from databot.types.errors import (
    ContextOverflow,
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
    shorten,
)

MAX_WORDS = 8 * 1024
"""Characters of a complaint that are looked at; what matters is said before that, and searching more takes long."""
MOST_S = 1e6
"""No vendor means a longer wait than this."""
OVERFLOW = re.compile(
    r"context[ _]length|context[ _]window|maximum context|too many tokens|prompt is too long"
    r"|input is too long|reduce the length|exceeds? the (available )?context|max_model_len",
    re.IGNORECASE,
)
NO_MODEL = re.compile(
    r"model\b.{0,200}?(not[ _]found|does not exist|not exist|unknown|not available|no such)"
    r"|(unknown|invalid|no such)[ _]model|model_not_found|not a valid model",
    re.IGNORECASE | re.DOTALL,
)
NO_TOOLS = re.compile(
    r"(does not|doesn't|not) support(ed)?\b.{0,40}\b(tool|function)"
    r"|support (for )?tool use"
    r"|tools?\b.{0,40}\b(is|are) not supported|--enable-auto-tool-choice|`?tools`? (is|are) not",
    re.IGNORECASE | re.DOTALL,
)
UNSUPPORTED = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|not permitted|extra inputs"
    r"|extra_forbidden|invalid param|not allowed|not available",
    re.IGNORECASE,
)
KEYLIKE = re.compile(r"\b(?:sk-|gsk_|xai-|csk-|AIza)[\w*.-]{6,}|(?<=[Bb]earer )\S+")
NAMED = re.compile(
    r"(key|token|secret|password|passwd|authorization)([\"'\\]{0,3}\s{0,3}[:=]\s{0,3}[\"'\\]{0,3}(?:Basic )?)"
    r"(?!\[key\])[^\s\"'\\,;&}]{4,}",
    re.IGNORECASE,
)
"""A secret by the name before it, whoever's it is: LiteLLM knows keys that we never see."""
USERINFO = re.compile(r"(?<=://)[^\s/@\"']{1,256}@")
CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class ToolsUnsupported(ProviderBadResponse):
    """The model takes no tools; `ReactProvider` can spell them out for it instead."""

    type = "model_without_tools"


class VendorAnswer(Exception):
    """What the vendor said, shortened; only ever the cause of a `ProviderError`."""


def vendor_answer(text: str, secret: str = "") -> VendorAnswer:
    """One short line of what the vendor said, without keys."""
    if secret:
        text = text.replace(secret, "[key]")
    text = KEYLIKE.sub("[key]", text[:MAX_WORDS])
    text = USERINFO.sub("[key]@", NAMED.sub(r"\1\2[key]", text))
    return VendorAnswer(shorten(CONTROL.sub(" ", text).strip(), 300))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a call went, for messages: a host or vendor, and the model asked for.

    `key` opened it, and is what no message may repeat.
    """

    host: str
    model: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An error as a vendor words it."""

    status: int
    message: str = ""
    code: str = ""
    param: str = ""
    is_json: bool = True

    @property
    def text(self) -> str:
        return f"{self.code} {self.message}"

    def cause(self, secret: str = "") -> VendorAnswer:
        """The vendor's words, for the log; without `secret`, which some vendors repeat."""
        return vendor_answer(f"{self.status} {self.text}", secret)


def read_complaint(status: int, body: bytes) -> Complaint:
    """The error in a body of any of the shapes in use; what is not JSON has no message.

    A body that begins like JSON was JSON before it was cut: some repeat the whole prompt.
    """
    try:
        data = orjson.loads(body)
    except ValueError:
        begun = body.lstrip()[:MAX_WORDS]
        if not begun.startswith((b"{", b"[")):
            return Complaint(status=status, is_json=False)
        return Complaint(status=status, message=begun.decode("utf-8", "replace"))
    return complaint_of(status, data)


def complaint_of(status: int, data: object) -> Complaint:
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return Complaint(status=status)
    inner = data.get("error", data)
    if not isinstance(inner, dict):
        return Complaint(status=status, message=str(inner)[:MAX_WORDS])
    message = inner.get("message") or inner.get("detail") or data.get("detail") or ""
    return Complaint(
        status=status,
        message=str(message)[:MAX_WORDS],
        code=str(inner.get("code") or inner.get("type") or "")[:MAX_WORDS],
        param=str(inner.get("param") or ""),
    )


def translate(complaint: Complaint, place: Place, headers: Mapping[str, str]) -> ProviderError:
    """The databot error for an answer that is an error."""
    status = complaint.status
    retry_after_s = wished_wait(headers)
    if status in {402, 429} or "insufficient_quota" in complaint.code:
        return rate_limited(complaint, place, retry_after_s)
    if status in {408, 504}:
        return ProviderTimeout(
            f"{place.host} gave up waiting for {place.model!r} ({status})",
            hint="try again, or choose a faster model in llm.model",
            retry_after_s=retry_after_s,
        )
    if status >= 500:
        return ProviderUnavailable(
            f"{place.host} failed to answer ({status})",
            hint="the trouble is on its side; try again in a moment",
            retry_after_s=retry_after_s,
        )
    return refused(complaint, place)


def refused(complaint: Complaint, place: Place) -> ProviderError:
    """A 3xx or 4xx that trying again will not mend."""
    status = complaint.status
    if status in {401, 403}:
        return ProviderAuthFailed(
            f"{place.host} refused the API key ({status})",
            hint="set llm.api_key, or the vendor's key variable, to a key that may use "
            + repr(place.model),
        )
    if status == 413 or OVERFLOW.search(complaint.text):
        return overflow(place)
    if NO_TOOLS.search(complaint.text):
        return no_tools(place)
    if status in {400, 404, 422} and NO_MODEL.search(complaint.text):
        return unknown_model(place)
    if status < 400 or status in {404, 405} or not complaint.is_json:
        return ProviderBadResponse(
            f"{place.host} has no chat completions at this address ({status})",
            hint="check llm.api_base: it usually ends with /v1",
        )
    return ProviderBadResponse(
        f"{place.host} refused the request for {place.model!r} ({status})",
        hint="the log has its reason; check llm.model and the bot's tools",
    )


def rate_limited(
    complaint: Complaint, place: Place, retry_after_s: float | None
) -> ProviderRateLimited:
    if complaint.status == 402 or "quota" in complaint.text or "balance" in complaint.text:
        return ProviderRateLimited(
            f"the account at {place.host} has no quota left",
            hint="check its plan and billing, or set llm.fallbacks",
            retry_after_s=retry_after_s,
        )
    wait = "in a moment" if retry_after_s is None else f"in {max(1, round(retry_after_s)):,} s"
    return ProviderRateLimited(
        f"{place.host} limits the rate of calls to {place.model!r}",
        hint=f"try again {wait}, or set llm.fallbacks",
        retry_after_s=retry_after_s,
    )


def overflow(place: Place) -> ContextOverflow:
    return ContextOverflow(
        f"the prompt is longer than {place.model!r} can read",
        hint="begin a new conversation, lower agent.context_tokens, or choose a model with a "
        "larger window",
    )


def unknown_model(place: Place) -> UnknownModel:
    return UnknownModel(
        f"{place.host} has no model {shorten(place.model)!r}",
        hint="check llm.model for a typo, and that the key may use this model",
    )


def no_tools(place: Place) -> ToolsUnsupported:
    return ToolsUnsupported(
        f"{place.model!r} at {place.host} does not take tools",
        hint="set agent.reasoning to react or auto, or choose a model with tool calling",
    )


def bad_body(place: Place, what: str, *, hint: str = "") -> ProviderBadResponse:
    return ProviderBadResponse(
        f"{place.host} answered with {what}",
        hint=hint or "try again; if it stays so, the server is not OpenAI-compatible",
    )


def refused_parameter(complaint: Complaint, parameters: frozenset[str]) -> str | None:
    """Which of `parameters` a 400 or 422 says it does not take; `None` when it is about something else."""
    if complaint.status not in {400, 422} or OVERFLOW.search(complaint.text):
        return None
    if not UNSUPPORTED.search(complaint.text):
        return None
    if complaint.param in parameters:
        return complaint.param
    named = [name for name in parameters if re.search(rf"\b{name}\b", complaint.message)]
    # The other name is often recommended in the same sentence: the refused one is named first.
    return min(named, key=complaint.message.index, default=None)


def wished_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds the vendor asks to wait: `retry-after-ms`, or `Retry-After` as seconds or as a date."""
    if ms := seconds(headers.get("retry-after-ms")):
        return ms / 1000
    wish = headers.get("Retry-After")
    if wish is None:
        return None
    if (plain := seconds(wish)) is not None:
        return plain
    return seconds_between(headers.get("Date"), wish)


def seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < MOST_S else None


def seconds_between(start: str | None, end: str) -> float | None:
    """Seconds between two HTTP dates of the same server, so that its clock may be wrong."""
    try:
        began = email.utils.parsedate_to_datetime(start or "")
        wish = (email.utils.parsedate_to_datetime(end) - began).total_seconds()
        return min(max(0.0, wish), MOST_S)
    except (ValueError, TypeError):
        return None


def error_in(data: Mapping[str, Any], place: Place) -> ProviderError | None:
    """The error a server put into a 200, in a stream or a body."""
    if not data.get("error"):
        return None
    inner = data["error"]
    code = inner.get("code") if isinstance(inner, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    complaint = complaint_of(status, data)
    error = translate(complaint, place, {})
    error.__cause__ = complaint.cause(place.key)
    return error
