"""Values as JSON values and back, exactly: what JSON has no word for is put in a box that names its kind.

An array is a tuple, for most sequences of a turn's events are tuples; a list is boxed. Only the kinds named here are
ever made from what is read. Knows the words of events, and no engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any, get_args

from databot.types.chat import Usage
from databot.types.events import StreamEvent
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, ToolReport

BOX, CONTENT = "$", "v"
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**64 - 1
"""Beyond these a JSON reader makes a rounded float of an integer."""
RECORDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *get_args(StreamEvent),
        OutboundMessage,
        ToolReport,
        Citation,
        Evidence,
        ArtifactRef,
        Usage,
    )
}
SPELLED: dict[type, Callable[[Any], str]] = {
    int: str,
    float: repr,
    Decimal: str,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    bytes: bytes.hex,
}
READ: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "bytes": bytes.fromhex,
}


def pack(value: Any) -> Any:  # noqa: ANN401 - any value; one way out for each kind
    """The value as JSON values; what is of no kind known here becomes its text."""
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if kind is int and LEAST_INTEGER <= value <= MOST_INTEGER:
        return value
    if kind is float and isfinite(value):
        return value
    if kind is tuple:
        return [pack(item) for item in value]
    if kind.__name__ in RECORDS and RECORDS[kind.__name__] is kind:
        return box(kind.__name__, {name: pack(getattr(value, name)) for name in names_of(kind)})
    return pack_other(value, kind)


def pack_other(value: Any, kind: type) -> Any:  # noqa: ANN401 - any value
    """What is rarer in an event."""
    if kind is list:
        return box("list", [pack(item) for item in value])
    if isinstance(value, Mapping):
        return pack_mapping(value)
    if kind in SPELLED:
        return box(kind.__name__, SPELLED[kind](value))
    if kind is timedelta:
        return box("timedelta", [value.days, value.seconds, value.microseconds])
    if isinstance(value, int | float):
        return pack(int(value) if isinstance(value, int) else float(value))
    return str(value)


def pack_mapping(value: Mapping[Any, Any]) -> Any:  # noqa: ANN401 - JSON values
    if all(type(key) is str and key != BOX for key in value):
        return {key: pack(item) for key, item in value.items()}
    return box("dict", [[pack(key), pack(item)] for key, item in value.items()])


def box(kind: str, content: object) -> dict[str, object]:
    return {BOX: kind, CONTENT: content}


@cache
def names_of(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def unpack(value: Any) -> Any:  # noqa: ANN401 - any value
    """The value that was packed.

    Raises:
        ValueError, TypeError, KeyError: it was not packed by a databot that knows the same kinds.
    """
    if isinstance(value, list):
        return tuple(unpack(item) for item in value)
    if not isinstance(value, dict):
        return value
    if BOX not in value:
        return {key: unpack(item) for key, item in value.items()}
    return open_box(value[BOX], value[CONTENT])


def open_box(kind: str, content: Any) -> Any:  # noqa: ANN401 - any value
    if kind in RECORDS:
        return RECORDS[kind](**{name: unpack(item) for name, item in content.items()})
    if kind == "list":
        return [unpack(item) for item in content]
    if kind == "dict":
        return {unpack(key): unpack(item) for key, item in content}
    if kind == "timedelta":
        return timedelta(*content)
    return READ[kind](content)
