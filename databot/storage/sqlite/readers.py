"""The threads that read: each has its own connection, so a long read holds up neither writes nor other reads.

Answers go back together, as the questions came: see `handover`. What stands behind a long read, answered or not, is seen
to after a moment by the loop.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from databot.storage.database import Row
from databot.storage.sqlite.errors import translate
from databot.storage.sqlite.handover import Handover
from databot.storage.sqlite.mailbox import Mailbox, Outcome
from databot.types.errors import StorageUnavailable

Question = tuple[str, tuple[Any, ...], Callable[[Sequence[Row]], Any], "asyncio.Future[Any]"]
MAX_WAITING = 20_000
LATE_S = 0.005
"""How long a question may stand behind another one before the next thread is called."""


class Readers:
    """Answers questions, as many at once as there are connections."""

    def __init__(
        self,
        connections: Sequence[sqlite3.Connection],
        loop: asyncio.AbstractEventLoop,
        mailbox: Mailbox,
        path: Path,
    ) -> None:
        self._loop = loop
        self._questions: Handover[Question] = Handover(loop)
        self._mailbox = mailbox
        self._path = path
        self._busy = [False] * len(connections)
        self._look: asyncio.TimerHandle | None = None
        self._threads = [
            Thread(target=self._run, args=(number, connection), name="databot-reader", daemon=True)
            for number, connection in enumerate(connections)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, question: Question) -> None:
        """Take a question; on the loop.

        Raises:
            StorageUnavailable: the store is closed, or too much waits already.
        """
        if self._questions.closed:
            raise StorageUnavailable(f"the database {self._path} is closed")
        if len(self._questions) >= MAX_WAITING:
            raise StorageUnavailable(
                f"too many reads are waiting for the database {self._path}", hint="try again"
            )
        self._questions.give(question)
        if self._look is None:
            self._look = self._loop.call_later(LATE_S, self._look_after)

    def close(self) -> None:
        """Take no more; on the loop."""
        self._questions.close()

    def join(self) -> None:
        """Answer what was asked; blocks until it is done."""
        for thread in self._threads:
            thread.join()

    def _look_after(self) -> None:
        """Hand out what is answered, and call a thread that is free for what is not."""
        self._mailbox.deliver()
        self._questions.ring()
        late = any(self._busy) or len(self._questions)
        self._look = self._loop.call_later(LATE_S, self._look_after) if late else None

    def _run(self, number: int, connection: sqlite3.Connection) -> None:
        while taken := self._questions.take(1):
            self._busy[number] = True
            while taken:
                self._mailbox.put(self._answer(connection, *taken[0]))
                taken = self._questions.take(1, 0.0)
            self._busy[number] = False
            self._mailbox.wake()

    def _answer(
        self,
        connection: sqlite3.Connection,
        sql: str,
        values: tuple[Any, ...],
        decode: Callable[[Sequence[Row]], Any],
        future: "asyncio.Future[Any]",
    ) -> Outcome:
        try:
            return future, decode(connection.execute(sql, values).fetchall())
        except Exception as error:  # boundary: a reader outlives every question it is asked
            told = translate(error, self._path)
            told.__cause__ = error
            return future, told
