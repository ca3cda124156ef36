"""How things are named and spelled in Redis: keys, signals, notices. Pure.

Every key of a databot has its namespace in braces, by which a cluster keeps them on one server. Names of tenants and
turns are any text: they are percent-encoded, so none can be mistaken for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from databot.dispatch.base import JobsDue, Notice, Stop, TurnKey
from databot.types.messages import ConversationKey

Fields = Mapping[bytes, bytes]
Entry = tuple[bytes, Fields]
"""The id of an entry and its fields, empty for one that was deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of a databot's keys in one namespace."""

    namespace: str

    @property
    def signals(self) -> str:
        return f"databot:{{{self.namespace}}}:signals"

    @property
    def notices(self) -> str:
        return f"databot:{{{self.namespace}}}:notices"

    def wake(self, replica: str) -> str:
        """Written to by a replica to end its own wait."""
        return f"databot:{{{self.namespace}}}:wake:{replica}"

    def turn(self, turn: TurnKey) -> str:
        """The stream of a turn's events."""
        return f"databot:{{{self.namespace}}}:turn:{safe(turn.tenant_id)}:{safe(turn.turn_id)}"


def safe(name: str) -> str:
    return quote(name, safe="", errors="surrogatepass")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def signal_fields(key: ConversationKey) -> tuple[str | bytes, ...]:
    parts = (key.tenant_id, key.bot_id, key.session_id)
    return ("t", to_bytes(parts[0]), "b", to_bytes(parts[1]), "s", to_bytes(parts[2]))


def read_signal(fields: Fields) -> ConversationKey:
    """Raises KeyError or ValueError for what no databot of this version wrote."""
    return ConversationKey(
        tenant_id=to_text(fields[b"t"]),
        bot_id=to_text(fields[b"b"]),
        session_id=to_text(fields[b"s"]),
    )


def notice_fields(notice: Notice, sender: str) -> tuple[str | bytes, ...]:
    if isinstance(notice, JobsDue):
        return ("from", sender, "kind", "jobs_due")
    turn = notice.turn
    tenant, name = to_bytes(turn.tenant_id), to_bytes(turn.turn_id)
    return ("from", sender, "kind", "stop", "tenant", tenant, "turn", name)


def read_notice(fields: Fields) -> Notice:
    """Raises KeyError or ValueError for what no databot of this version wrote."""
    kind = fields[b"kind"]
    if kind == b"jobs_due":
        return JobsDue()
    if kind != b"stop":
        raise ValueError("an unknown kind of notice")
    tenant, turn = to_text(fields[b"tenant"]), to_text(fields[b"turn"])
    return Stop(turn=TurnKey(tenant_id=tenant, turn_id=turn))


def entries_of(answer: Any) -> list[Entry]:  # noqa: ANN401 - as the wire has it
    """The entries of a stream as Redis answers them; entries deleted since are left out or have no fields."""
    return [
        (entry[0], dict(zip(entry[1][::2], entry[1][1::2], strict=True)) if entry[1] else {})
        for entry in answer or ()
        if entry
    ]


def streams_of(answer: Any) -> dict[bytes, list[Entry]]:  # noqa: ANN401 - as the wire has it
    """What XREAD and XREADGROUP answer: entries by key, nothing when nothing came."""
    return {stream[0]: entries_of(stream[1]) for stream in answer or ()}


def number_of(entry_id: bytes) -> int:
    """The first half of an entry's id: of a turn's stream, the number of the event."""
    return int(entry_id.partition(b"-")[0])
