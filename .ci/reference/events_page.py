"""The events of a turn, from their classes: names, meanings and the keys of their data."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_args

from markdown_text import Row, code, prose, table

from databot.types.events import MessageCompleted, StreamEvent, TurnFailed, TurnFinished

WORDS = {str(kind): word for kind, word in ((str, "text"), (bool, "boolean"), (float, "number"))}


def events_page() -> Iterator[str]:
    yield (
        "What happens during a turn, the same on every wire: the names of server-sent events, the `type` of WebSocket "
        "frames, and the `event` of each line of `databot chat --json`. Exactly one `turn_finished` or `turn_failed` ends "
        "every turn. In Python the classes are in `databot.types.events`."
    )
    for kind in get_args(StreamEvent):
        yield f"## `{kind.name}`"
        yield prose(kind.__doc__)
        yield table(("key", "type"), payload_rows(kind))


def payload_rows(kind: type) -> list[Row]:
    """The keys of an event's data, as `databot.types.events.payload` writes them."""
    if kind in {MessageCompleted, TurnFinished}:
        return [("all of [Reply](http.md#reply)", "")]
    if kind is TurnFailed:
        inner = "object (`type` text, see [errors](errors.md); `message` text)"
        return [(code("turn_id"), "text"), (code("session_id"), "text"), (code("error"), inner)]
    assert is_dataclass(kind)
    return [(code(item.name), field_type(item.type)) for item in fields(kind)]


def field_type(annotation: object) -> str:
    """The JSON type of a field, or a link to its shape."""
    name = str(annotation)
    if "Evidence" in name:
        return "list of [Evidence](http.md#evidence)"
    if "ArtifactRef" in name:
        return "list of [Artifact](http.md#artifact)"
    return WORDS.get(name, "object")
