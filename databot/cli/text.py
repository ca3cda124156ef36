"""Text made fit for a terminal. Pure functions."""

import re
from datetime import date, datetime
from decimal import Decimal

CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links and clipboard writes
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # everything else but tab and newline
)


def safe(text: str) -> str:
    """Without control characters: what comes from a model or a database must not drive the terminal."""
    return CONTROL.sub("", text)


def clean_input(text: str) -> str:
    """Typed or piped text with broken bytes replaced, so that it can be stored and sent."""
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def file_size(size: int) -> str:
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def cell(value: object, limit: int = 60) -> str:
    """A database value on one line, at most `limit` characters long."""
    if value is None:
        return "NULL"
    if isinstance(value, float | Decimal):
        return f"{value:,.2f}" if value != value // 1 else f"{value:,.0f}"
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    flat = " ".join(safe(str(value)).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
