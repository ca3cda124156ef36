"""What replicas say to each other through NOTIFY, as text, and its cutting into what PostgreSQL carries at once.

A message is lines: a JSON head, and for events one line each, `number JSON`. Written to be skipped where it is not
understood: replicas of two versions listen to the same channels. Pure.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from databot.dispatch.base import JobsDue, Notice, NumberedEvent, Stop, TurnKey
from databot.dispatch.events import Reader, encode_event

PACKED = b"="
"""No message of ours begins so: they are JSON."""
LONGEST = 7_900
"""PostgreSQL takes less than 8,000 bytes in one notification."""
LONGEST_EVENT = 256_000
MOST_WAITING = 64
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A notice from another replica."""

    sender: str
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A reader at another replica wants the events of a turn above `after`; `again`: some it was sent never came."""

    reader: str
    turn: TurnKey
    after: int
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """All that a replica's readers want; `channel` is where it listens."""

    channel: str
    wants: tuple[Want, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A reader has gone."""

    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The events above `previous` up to `last`, as far as they are kept and can be carried."""

    reader: str
    previous: int
    last: int
    items: tuple[NumberedEvent, ...]


Message = Said | Wants | Left | Told


def write(message: Message) -> bytes:
    match message:
        case Said(sender=sender, notice=notice):
            if isinstance(notice, Stop):
                return head("stop", sender, notice.turn.tenant_id, notice.turn.turn_id)
            return head("jobs", sender)
        case Wants(channel=channel, wants=wants):
            return head("want", channel, [want_row(want) for want in wants])
        case Left(reader=reader):
            return head("left", reader)
        case Told():
            lines = [b"%d %b" % (item.number, line) for item, line in carried(message.items)]
            top = head("told", message.reader, message.previous, message.last)
            return b"\n".join((top, *lines))


def head(*values: object) -> bytes:
    return orjson.dumps(values)


def want_row(want: Want) -> list[object]:
    return [want.reader, want.turn.tenant_id, want.turn.turn_id, want.after, want.again]


def carried(items: Sequence[NumberedEvent]) -> Iterator[tuple[NumberedEvent, bytes]]:
    """The events that can be sent; what is left out the reader gets from the store."""
    for item in items:
        try:
            line = encode_event(item.event)
        except RecursionError:
            continue
        if len(line) <= LONGEST_EVENT:
            yield item, line


def read(data: bytes, events: Reader) -> Message | None:
    """The message; `None` for a kind this version does not know.

    Raises:
        one of BROKEN: it is not a message.
    """
    top, *lines = data.split(b"\n")
    match orjson.loads(top):
        case ["stop", str(sender), str(tenant), str(turn)]:
            return Said(sender=sender, notice=Stop(turn=TurnKey(tenant_id=tenant, turn_id=turn)))
        case ["jobs", str(sender)]:
            return Said(sender=sender, notice=JobsDue())
        case ["want", str(channel), [*rows]]:
            return Wants(channel=channel, wants=tuple(want_of(*row) for row in rows))
        case ["left", str(reader)]:
            return Left(reader=reader)
        case ["told", str(reader), int(previous), int(last)]:
            items = tuple(events_of(lines, events))
            return Told(reader=reader, previous=previous, last=last, items=items)
        case _:
            return None


def want_of(reader: str, tenant: str, turn: str, after: int, again: bool) -> Want:
    key = TurnKey(tenant_id=tenant, turn_id=turn)
    return Want(reader=reader, turn=key, after=int(after), again=again)


def events_of(lines: Sequence[bytes], events: Reader) -> Iterator[NumberedEvent]:
    for line in lines:
        number, _, data = line.partition(b" ")
        event = events.read(data)
        if event is not None:
            yield NumberedEvent(number=int(number), event=event)


def cut(data: bytes, name: str) -> Iterator[str]:
    """The message as notifications: `name place count text`, never in the midst of a character."""
    data = as_text(data)
    room = LONGEST - len(name) - 16
    pieces: list[bytes] = []
    while data:
        end = min(room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[:end])
        data = data[end:]
    for place, piece in enumerate(pieces):
        yield f"{name} {place} {len(pieces)} {piece.decode()}"


def as_text(data: bytes) -> bytes:
    """The message in what a notification can hold; one with half a character in it, which no text has, as base64."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return PACKED + b64encode(data)
    return data


def as_sent(text: str) -> bytes:
    """The message again. Raises one of BROKEN."""
    data = text.encode()
    return b64decode(data[len(PACKED) :]) if data.startswith(PACKED) else data


@dataclass(slots=True)
class Joining:
    """Puts notifications together to messages again; what misses a piece is forgotten."""

    _begun: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def add(self, payload: str) -> bytes | None:
        """The whole message with its last piece, which come in order; else `None`.

        Raises:
            one of BROKEN: it is not ours.
        """
        name, place, count, text = payload.split(" ", 3)
        if int(count) == 1:
            return as_sent(text)
        pieces = self._begun.setdefault(name, [])
        if int(place) != len(pieces):
            del self._begun[name]
            return None
        pieces.append(text)
        if len(pieces) == int(count):
            return as_sent("".join(self._begun.pop(name)))
        if len(self._begun) > MOST_WAITING:
            del self._begun[next(iter(self._begun))]
        return None

    def forget(self) -> None:
        self._begun.clear()
