"""What became of every message, read from the store, from the effects outside and through HTTP, and counted."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from databot.core.calls import UNKNOWN_OUTCOME
from tests.flows.daemon import Daemon
from tests.replicas.books import Books, Row, still_owned
from tests.replicas.model import ROLES, reply_to
from tests.replicas.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Counts over all messages; every one of the first line must be 0."""

    lost: int
    repeated: int
    out_of_order: int
    malformed: int
    plain_repeated: int
    keys_changed: int
    effects_unaccounted: int
    still_owned: int
    turns: int
    resumed: int
    unknown: int
    slowest_s: float

    @property
    def wrong(self) -> int:
        """How much was not as promised."""
        return (
            self.lost
            + self.repeated
            + self.out_of_order
            + self.malformed
            + self.plain_repeated
            + self.keys_changed
            + self.effects_unaccounted
            + self.still_owned
        )

    def __str__(self) -> str:
        return (
            f"{self.turns} turns: {self.lost} lost, {self.repeated} repeated, {self.out_of_order} out of order, "
            f"{self.malformed} not well formed, {self.plain_repeated} plain effects repeated, "
            f"{self.keys_changed} keys changed, {self.effects_unaccounted} effects unaccounted for, "
            f"{self.still_owned} conversations still owned "
            f"({self.resumed} resumed, {self.unknown} outcomes told as unknown, slowest {self.slowest_s:.1f} s)"
        )


async def examine(books: Books, traffic: Traffic) -> Findings:
    """Read everything, also at every replica that answers, and count what is not as promised."""
    rows = await books.select(
        "SELECT session_id, turn_id, external_id, state, claims, accepted_at, ended_at"
        " FROM inbox i JOIN conversation c ON c.id = i.conversation_id ORDER BY seq"
    )
    by_session: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_session[row["session_id"]].append(row)
    told = await transcripts(traffic.fleet.daemons, traffic)
    done = Counter(key_of(row) for row in rows if row["state"] == "done")
    effects = read_effects(traffic.fleet.place.effects)
    unknown = {
        message
        for message, turn in told.items()
        if any(UNKNOWN_OUTCOME in text for _, text in turn)
    }
    marks = effects["plain"]
    return Findings(
        lost=sum(not done[message] for message in traffic.messages),
        repeated=len(rows)
        - len({key_of(row) for row in rows})
        + sum(len(turns) != 1 for turns in traffic.turns.values()),
        out_of_order=sum(
            disorder(by_session[session], messages) for session, messages in traffic.sent.items()
        ),
        malformed=sum(not well_formed(message, told[message]) for message in traffic.messages),
        plain_repeated=sum(len(keys) > 1 for keys in marks.values()),
        keys_changed=sum(len(set(keys)) > 1 for keys in effects["idempotent"].values()),
        effects_unaccounted=sum(
            message not in effects["idempotent"]
            or (message not in marks and message not in unknown)
            for message in traffic.messages
        ),
        still_owned=await still_owned(books),
        turns=len(rows),
        resumed=sum(row["claims"] > 1 for row in rows),
        unknown=len(unknown),
        slowest_s=max((row["ended_at"] - row["accepted_at"]) / 1e6 for row in rows),
    )


def key_of(row: Row) -> str:
    """The message: its idempotency key without the caller's name."""
    return str(row["external_id"]).rpartition(":")[2]


def disorder(rows: Sequence[Row], sent: Sequence[str]) -> int:
    """How many turns of a conversation are not where they were sent, or ended before the one before them."""
    moved = sum(key_of(row) != message for row, message in zip(rows, sent, strict=False))
    return moved + sum(one["ended_at"] > two["ended_at"] for one, two in pairwise(rows))


async def transcripts(
    daemons: Sequence[Daemon], traffic: Traffic
) -> dict[str, list[tuple[str, str]]]:
    """The roles and texts of each message's turn, in the order in which its conversation is read back over HTTP."""
    told: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for number, (session, sent) in enumerate(traffic.sent.items()):
        status, body = await daemons[number % len(daemons)].get(f"/api/v1/sessions/{session}")
        assert status == 200, body
        turns = iter(sent)
        message = ""
        for item in body["messages"]:
            if item["role"] == "user":
                message = next(turns, "one too many")
            told[message].append((item["role"], item["content"]))
    return told


def well_formed(message: str, turn: Sequence[tuple[str, str]]) -> bool:
    """The question, each step once with exactly one result, and the one reply."""
    if [role for role, _ in turn] != ROLES:
        return False
    return message in turn[0][1] and turn[-1][1] == reply_to(message)


def read_effects(file: Path) -> dict[str, dict[str, list[str]]]:
    """The keys of each effect of each message, by kind."""
    effects: dict[str, dict[str, list[str]]] = {"plain": {}, "idempotent": {}}
    for line in file.read_text().splitlines():
        kind, message, key = line.split()
        effects[kind].setdefault(message, []).append(key)
    return effects
