"""Taking away what nobody will ask for again: ended jobs, sent replies, approvals long over, files nobody knows of.

Each part may be done any number of times, by several at once, and broken off at any point. What a person could still
read, conversations above all, is none of its business.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, or_, select

from databot.storage.artifacts import remove_files
from databot.storage.codec import to_micros
from databot.storage.database import Database, Query, single
from databot.storage.statements import fixed, param, same
from databot.storage.tables import approval, artifact, inbox, job, outbox
from databot.types.clock import Clock

JOBS_KEPT = timedelta(days=30)
SENT_KEPT = timedelta(days=7)
APPROVALS_KEPT = timedelta(days=30)
FILES_SPARED = timedelta(days=1)
"""A file is written before its record is: a young one may be about to get one."""
OURS = ("art_", ".art_")
"""What the names of artifacts begin with, and of those half written."""

BEFORE = param(job.c.ended_at, "before")
# A job that was due for so long belonged to a replica that is gone: nobody else has the handler of its kind.
OLD_JOBS = (
    delete(job)
    .where(or_(job.c.ended_at < BEFORE, job.c.ended_at.is_(None) & (job.c.run_at < BEFORE)))
    .where(job.c.state != fixed("'running'"))
    .returning(job.c.id)
)
OLD_SENT = delete(outbox).where(outbox.c.sent_at < BEFORE).returning(outbox.c.id)
ITS_TURN_IS_OPEN = (
    select(fixed("1"))
    .where(inbox.c.turn_id == approval.c.turn_id, inbox.c.ended_at.is_(None))
    .correlate(approval)
    .exists()
)
OLD_APPROVALS = (
    delete(approval)
    .where(approval.c.expires_at < BEFORE, ~ITS_TURN_IS_OPEN)
    .returning(approval.c.id)
)
KNOWN = select(artifact.c.id).where(same(artifact.c.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """How many were taken away."""

    jobs: int
    replies: int
    approvals: int
    files: int


class SqlCleaning:
    """Cleans one store: its database, and the folder of its artifacts on this machine."""

    def __init__(self, database: Database, folder: Path, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        prepare = database.prepare
        self._old_jobs, self._old_sent = prepare(OLD_JOBS), prepare(OLD_SENT)
        self._old_approvals, self._known = prepare(OLD_APPROVALS), prepare(KNOWN)

    async def clean(self) -> Cleaned:
        """All of it.

        Raises:
            StorageError: the database or the folder does not take it; what was done until then stands.
        """
        now = self._clock.now()
        return Cleaned(
            jobs=await self._delete(self._old_jobs, now - JOBS_KEPT),
            replies=await self._delete(self._old_sent, now - SENT_KEPT),
            approvals=await self._delete(self._old_approvals, now - APPROVALS_KEPT),
            files=await self._remove_unknown(now - FILES_SPARED),
        )

    async def _delete(self, query: Query, before: datetime) -> int:
        (gone,) = await self._database.write(((query, {"before": to_micros(before)}),))
        return len(gone)

    async def _remove_unknown(self, before: datetime) -> int:
        count = 0
        async for files in self._old_files(before):
            unknown = [path for path in files if not await self._is_known(path.name)]
            await asyncio.to_thread(remove_files, unknown)
            count += len(unknown)
        return count

    async def _old_files(self, before: datetime) -> AsyncIterator[Sequence[Path]]:
        """The files of each folder that nobody has touched since, folder by folder."""
        for folder in await asyncio.to_thread(folders_in, self._folder):
            yield await asyncio.to_thread(files_in, folder, before.timestamp())

    async def _is_known(self, name: str) -> bool:
        return await self._database.read(self._known, {"id": name}, single) is not None


def folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir())


def files_in(folder: Path, before: float) -> list[Path]:
    return list(old_files(folder, before))


def old_files(folder: Path, before: float) -> Iterator[Path]:
    for path in folder.iterdir():
        try:
            if path.name.startswith(OURS) and path.is_file() and path.stat().st_mtime < before:
                yield path
        except FileNotFoundError:  # deleted meanwhile, with its conversation
            continue
