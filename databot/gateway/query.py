"""What clients say outside the body: numbers, times and switches in the query and in headers. Pure.

A number is looked at before it is read: Python refuses thousands of digits in its own way, and a store whole numbers
beyond 64 bits in another.
"""

from datetime import UTC, datetime

from aiohttp import web

from databot.types.errors import RequestError

MAX_EVENT_ID = 2**53 - 1


def whole_number(text: str, name: str, least: int, most: int) -> int:
    """The number from `least` to `most` that the text is. Raises `RequestError`."""
    fits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not (fits and least <= int(text) <= most):
        raise RequestError(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def moment(text: str, name: str) -> datetime:
    """An ISO-8601 time; one without an offset is UTC. Raises `RequestError`."""
    try:
        # A `+` that was not percent-encoded arrives as a space.
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RequestError(f"{name} must be an ISO-8601 time") from error


def last_event_id(request: web.Request) -> int:
    """Where the reader left off: `Last-Event-ID`, or `?after=`. Raises `RequestError`."""
    if given := request.headers.get("Last-Event-ID"):
        return whole_number(given, "Last-Event-ID", 0, MAX_EVENT_ID)
    return whole_number(request.query.get("after", "0"), "after", 0, MAX_EVENT_ID)


def wants_html(request: web.Request) -> bool:
    """Whether the reader is a page that wants replies as safe HTML too. Raises `RequestError`."""
    asked = request.query.get("html", "0")
    if asked not in {"0", "1"}:
        raise RequestError("html must be 0 or 1")
    return asked == "1"
