"""The threads that read: each has its own connection, so a long read holds up neither writes nor other reads."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from databot.storage.database import Row
from databot.storage.sqlite.errors import translate
from databot.storage.sqlite.mailbox import Mailbox
from databot.types.errors import StorageUnavailable

Question = tuple[str, tuple[Any, ...], Callable[[Sequence[Row]], Any], "asyncio.Future[Any]"]
MAX_WAITING = 20_000


class Readers:
    """Answers questions, as many at once as there are connections."""

    def __init__(
        self, connections: Sequence[sqlite3.Connection], mailbox: Mailbox, path: Path
    ) -> None:
        self._mailbox = mailbox
        self._path = path
        self._queue: SimpleQueue[Question | None] = SimpleQueue()
        self._closed = False
        self._threads = [
            Thread(target=self._run, args=(connection,), name="databot-reader", daemon=True)
            for connection in connections
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, question: Question) -> None:
        """Take a question.

        Raises:
            StorageUnavailable: the store is closed, or too much waits already.
        """
        if self._closed:
            raise StorageUnavailable(f"the database {self._path} is closed")
        if self._queue.qsize() >= MAX_WAITING:
            raise StorageUnavailable(
                f"too many reads are waiting for the database {self._path}", hint="try again"
            )
        self._queue.put(question)

    def close(self) -> None:
        """Answer what was asked, then end; blocks until it is done."""
        if not self._closed:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, connection: sqlite3.Connection) -> None:
        while question := self._queue.get():
            sql, values, decode, future = question
            try:
                answer = decode(connection.execute(sql, values).fetchall())
            except Exception as error:  # boundary: a reader outlives every question it is asked
                answer = translate(error, self._path)
                answer.__cause__ = error
            self._mailbox.post(((future, answer),))
