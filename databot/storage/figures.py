"""The store in figures, for those who operate databot: what waits, what was given up, how long commits take.

Three small reads over partial indexes. Not here: the figures of replies (`outbox`) and of jobs (`jobs`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select

from databot.storage.codec import to_micros
from databot.storage.database import Database, Row
from databot.storage.statements import fixed, param
from databot.storage.tables import approval, inbox
from databot.types.clock import Clock

IS_OPEN = inbox.c.ended_at.is_(None)
WAITING = (
    select(inbox.c.tenant_id, func.count(), func.min(inbox.c.accepted_at))
    .where(IS_OPEN, inbox.c.state == fixed("'queued'"))
    .group_by(inbox.c.tenant_id)
)
DEAD = select(func.count()).select_from(inbox).where(inbox.c.state == fixed("'dead'"))
# By way of the turns that wait: few are open, while decided questions are kept for long.
ASKED = (
    select(func.count())
    .select_from(inbox)
    .join(approval, approval.c.turn_id == inbox.c.turn_id)
    .where(IS_OPEN, inbox.c.state == fixed("'waiting'"))
    .where(and_(approval.c.state == fixed("'pending'"), approval.c.expires_at > param(approval.c.expires_at)))
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long something took: how often it was `within` each limit (seconds), how often at all, and the sum."""

    within: tuple[tuple[float, int], ...]
    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """`waiting`: turns that wait for a worker, by tenant; `oldest_s`: for how long the oldest of them, 0 when none does.

    `dead`: turns that were given up; `asked`: tool calls that wait for a person.
    """

    waiting: Mapping[str, int]
    oldest_s: float
    dead: int
    asked: int


class SqlFigures:
    """The figures, of a database. `commits` gives the times of its commits."""

    def __init__(self, database: Database, clock: Clock, commits: Callable[[], Durations]) -> None:
        self._database = database
        self._clock = clock
        self.commits = commits
        prepare = database.prepare
        self._waiting, self._dead, self._asked = prepare(WAITING), prepare(DEAD), prepare(ASKED)

    async def read(self) -> StoreFigures:
        """The figures now. Raises `StorageError`."""
        now = to_micros(self._clock.now())
        read = self._database.read
        rows = await read(self._waiting, {}, list[Row])
        oldest = min((row[2] for row in rows), default=now)
        return StoreFigures(
            waiting={row[0]: row[1] for row in rows},
            oldest_s=max(0, now - oldest) / 1_000_000,
            dead=await read(self._dead, {}, number),
            asked=await read(self._asked, {"expires_at": now}, number),
        )


def number(rows: Sequence[Row]) -> int:
    return int(rows[0][0])
