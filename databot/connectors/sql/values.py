"""One value of a database, as Arrow or a person can take it.

Pure. Numbers, text, bytes, dates and times pass as they are; identifiers, networks, ranges, intervals and whatever a
client invents become text; nested values become JSON text.
"""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_ATOMS = (str, bytes, bool, int, float)


def plain(value: Any) -> Any:  # noqa: ANN401 - a database may hold anything
    """The value in a type Arrow knows, else its text."""
    if value is None or isinstance(value, _ATOMS):
        return value
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, time):
        return value if value.tzinfo is None else value.isoformat()
    if isinstance(value, date):
        return value
    if isinstance(value, Decimal):
        return value if value.is_finite() else str(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple) and not hasattr(value, "keys"):
        return [plain(item) for item in value]
    return text(value)


def text(value: Any) -> str | None:  # noqa: ANN401 - a database may hold anything
    """The value as text; `None` stays NULL."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, timedelta):
        return span(value)
    if hasattr(value, "keys"):
        return json.dumps(dict(value.items()), default=text, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return json.dumps(value, default=text, ensure_ascii=False)
    return special(value)


def special(value: Any) -> str:  # noqa: ANN401 - the client's own classes, known by their methods
    """PostgreSQL's bit strings and ranges as SQL writes them; anything else as it prints."""
    if hasattr(value, "as_string"):
        return value.as_string().replace(" ", "")
    if hasattr(value, "lower_inc"):
        if value.isempty:
            return "empty"
        lower = "" if value.lower is None else text(value.lower)
        upper = "" if value.upper is None else text(value.upper)
        return f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}"
    return str(value)


def span(value: timedelta) -> str:
    """A length of time as `[-]HH:MM:SS[.ffffff]`, hours beyond a day included."""
    sign = "-" if value < timedelta() else ""
    value = abs(value)
    hours, rest = divmod(value.days * 86_400 + value.seconds, 3600)
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"{sign}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}{fraction}"
