"""The events of turns as bytes and back, for the way from one replica to another.

Read back, an event equals the one that was sent. Two replicas may be of different versions for a while: what cannot be
read is nobody's fault, and is skipped. Not the spelling clients are shown: that is `databot.types.events.payload`.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any, get_args

import orjson

from databot.dispatch.values import pack, unpack
from databot.types.events import StreamEvent, TextDelta

log = logging.getLogger(__name__)
EVENTS = get_args(StreamEvent)
AS_THEY_ARE = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)


def encode_event(event: StreamEvent) -> bytes:
    """The event as JSON.

    Raises:
        RecursionError: the arguments of a tool are nested too deeply.
    """
    if type(event) is TextDelta:  # nearly all events
        return dumps([event.turn_id, event.text])
    return dumps(pack(event))


def decode_event(data: bytes) -> StreamEvent:
    """The event in `encode_event`'s JSON.

    Raises:
        one of UNREADABLE: another version wrote it, or nobody of ours did.
    """
    value = loads(data)
    if isinstance(value, list):
        turn_id, text = value
        if type(turn_id) is type(text) is str:
            return TextDelta(turn_id=turn_id, text=text)
        raise TypeError("it is no piece of text")
    event = unpack(value)
    if not isinstance(event, EVENTS):
        raise TypeError("it is no event")
    return event


def dumps(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=AS_THEY_ARE)
    except TypeError:  # half a character, which a model may stream: UTF-8 has no bytes for it
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")  # escapes would make one of two halves


def loads(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return orjson.loads(data)
    except ValueError:
        return json.loads(data.decode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class Reader:
    """Reads events, skips what it cannot read, and says so once."""

    skipped: int = 0

    def read(self, data: bytes) -> StreamEvent | None:
        """The event; `None` for what this version of databot does not understand."""
        try:
            return decode_event(data)
        except UNREADABLE as error:
            if not self.skipped:
                log.warning(
                    "skipped an event of a turn that another replica sent and this version of databot cannot read (%s); "
                    "further ones are skipped in silence",
                    type(error).__name__,
                )
            self.skipped += 1
            return None
