"""The one thread that writes: it takes everything that waits, and commits it together.

`synchronous=FULL` makes a commit wait for the disk, whether it carries one transaction or a hundred. So units that
arrive while a commit is under way share the next one. When a unit of a batch fails, the batch is rolled back and its
units run one by one, so that only the guilty one fails; what was told before its commit is not undone by it, because
others build on it. Not here: reading (`readers`) and what the statements mean.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from databot.storage.database import Action, Params, Query, Row
from databot.storage.sqlite.errors import translate
from databot.storage.sqlite.handover import Handover
from databot.storage.sqlite.mailbox import Mailbox, Outcome
from databot.types.errors import StorageUnavailable

MAX_BATCH = 512
MAX_WAITING = 20_000
LINGER_S = 0.05
"""How long a unit that need not be durable by itself waits, run but not committed, for company."""

Rows = list[Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit that waits to be committed; one that need not be `durable` is told its rows before that."""

    unit: Sequence[Action]
    future: "asyncio.Future[Rows]"
    durable: bool = True


class Writer:
    """Commits units in the order they came."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        mailbox: Mailbox,
        path: Path,
    ) -> None:
        self._connection = connection
        self._jobs: Handover[Job] = Handover(loop)
        self._mailbox = mailbox
        self._path = path
        self._file = file_identity(path)
        self._left: list[Job] = []
        self._thread = Thread(target=self._run, name="databot-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a unit.

        Raises:
            StorageUnavailable: the store is closed, or too much waits already.
        """
        if self._jobs.closed:
            raise StorageUnavailable(f"the database {self._path} is closed")
        if len(self._jobs) >= MAX_WAITING:
            raise StorageUnavailable(
                f"too many writes are waiting for the database {self._path}", hint="try again"
            )
        self._jobs.give(job)

    def close(self) -> None:
        """Take no more; on the loop."""
        self._jobs.close()

    def join(self) -> None:
        """Commit what was taken; blocks until it is done."""
        self._thread.join()

    def _run(self) -> None:
        while batch := self._left or self._jobs.take(MAX_BATCH):
            self._left = []
            self._tell(self._commit(batch))

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._mailbox.put(outcome)
        self._mailbox.wake()

    def _commit(self, batch: list[Job], *, linger: bool = True) -> list[Outcome]:
        """Commit the batch, and what joins it meanwhile if it may `linger`."""
        try:
            results = self._transaction(batch, linger)
        except Exception as error:  # boundary: the writer outlives every unit it is given
            if len(batch) > 1 and not is_busy(error):
                # Nobody joins them: a later unit would come before those that are still to be run.
                return [item for job in batch for item in self._commit([job], linger=False)]
            told = translate(error, self._path)
            told.__cause__ = error
            results = [told] * len(batch)
        return [(job.future, result) for job, result in zip(batch, results, strict=True)]

    def _transaction(self, batch: list[Job], linger: bool) -> list[Any]:
        if file_identity(self._path) != self._file:
            # SQLite would go on writing into a file that nobody finds again.
            raise StorageUnavailable(
                f"the database {self._path} was moved or deleted while databot ran",
                hint="put it back, or restart databot to begin anew",
            )
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            results = self._execute_all(batch, linger)
            self._connection.execute("COMMIT")
        except BaseException:  # boundary: the transaction is undone, and the error goes on
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return results

    def _execute_all(self, batch: list[Job], linger: bool) -> list[Any]:
        """Run the units; when none of them must be durable, wait a moment for one that must, and take it in."""
        results = self._execute_some(batch)
        if linger and len(batch) < MAX_BATCH and not any(job.durable for job in batch):
            results.extend(self._execute_behind(batch, self._jobs.take(MAX_BATCH, LINGER_S)))
        return results

    def _execute_behind(self, batch: list[Job], late: list[Job]) -> list[Any]:
        """Run units behind a batch that was told, and make them part of it; left for later when one of them fails."""
        if not late:
            return []
        begun = False
        try:
            self._connection.execute("SAVEPOINT told")
            begun = True
            results = self._execute_some(late)
        except Exception:  # boundary: what was told stays; those behind it are run by themselves
            if self._connection.in_transaction:
                self._left = late
                if begun:
                    self._connection.execute("ROLLBACK TO told")
                return []
            batch.extend(late)  # the disk is full, for one: SQLite has undone everything
            raise
        batch.extend(late)
        return results

    def _execute_some(self, jobs: Sequence[Job]) -> list[Any]:
        """Run units, and tell those that do not wait for the commit."""
        results = [self._execute(job.unit) for job in jobs]
        told = [
            (job.future, rows) for job, rows in zip(jobs, results, strict=True) if not job.durable
        ]
        if told:
            self._tell(told)
        return results

    def _execute(self, unit: Sequence[Action]) -> Rows:
        return [self._rows(query, params) for query, params in unit]

    def _rows(self, query: Query, params: Params) -> Sequence[Row]:
        cursor = self._connection.execute(query.sql, query.values(params))
        if query.numbers:
            return [(cursor.lastrowid,)] if cursor.rowcount else []
        return cursor.fetchall()


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells the file from another of its name; `None` when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_busy(error: BaseException) -> bool:
    """Whether the whole batch failed for want of the lock: asking again for each unit would only wait longer."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
