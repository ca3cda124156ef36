"""Which identifiers the store takes: any text up to 512 bytes, save what a database cannot hold.

A new name that does not fit is refused before anything is written; looking up such a name finds nothing.
"""

from databot.types.errors import RequestError
from databot.types.messages import ConversationKey

MAX_BYTES = 512
"""Three such names fit into one index entry of PostgreSQL (2,704 bytes)."""


def is_name(text: str) -> bool:
    """Whether the store can hold `text` as an identifier."""
    if "\0" in text:
        return False
    try:
        return len(text.encode()) <= MAX_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False


def is_key(key: ConversationKey) -> bool:
    """Whether there can be a conversation of this name."""
    return is_name(key.tenant_id) and is_name(key.bot_id) and is_name(key.session_id)


def require_name(kind: str, text: str) -> None:
    """Refuse a name the store cannot hold.

    Raises:
        RequestError: the name holds a NUL or half a character, or is too long.
    """
    if not is_name(text):
        raise RequestError(
            f"the {kind} is not a usable name",
            hint=f"use at most {MAX_BYTES} bytes of text without NUL characters",
        )


def require_key(key: ConversationKey) -> None:
    """Refuse a conversation whose name the store cannot hold.

    Raises:
        RequestError: as for `require_name`.
    """
    require_name("tenant", key.tenant_id)
    require_name("bot", key.bot_id)
    require_name("session id", key.session_id)


def holdable(text: str) -> str:
    """Text a column can hold: models also write half characters and NULs."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def clean_label(text: str, limit: int) -> str:
    """`text` as one short printable line: for titles and file names shown to people."""
    line = " ".join(text[: limit * 4].encode("utf-8", "replace").decode().split())
    if not line.isprintable():
        line = "".join(char for char in line if char.isprintable())
    return line if len(line) <= limit else line[: limit - 1] + "…"
