"""The folder of the indexes, as the processes of one data directory share it.

One process at a time writes; the others read. What SQLite does by itself, Chroma does not: a process keeps its vectors in
memory and never looks whether another has written. So each writing is counted in a file, and who reads can ask whether
the count has moved.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from databot.rag.base import RetrievalError


class IndexFolder:
    """Who may write, and whether another process has written. Blocks, but never waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._count()

    @contextmanager
    def writing(self) -> Generator[bool]:
        """Whether this process may write, for as long as the block lasts. Raises `RetrievalError`."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            alone = self._locked(handle)
            try:
                yield alone
            finally:
                if alone:
                    self._advance()
        finally:
            os.close(handle)

    def changed(self) -> bool:
        """Whether another process has written since this one caught up."""
        return self._count() != self._seen

    def catch_up(self) -> None:
        """What is in the folder now is what this process will read."""
        self._seen = self._count()

    def _locked(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._unusable(error) from error
        return True

    def _advance(self) -> None:
        """Counts even a writing that changed nothing: the one before may have been killed before it was counted."""
        count = self._count()
        made = self._path / "writings.new"
        # On a full disk the others are not told now; the next writing tells them.
        with suppress(OSError):
            made.write_text(f"{count + 1}\n", encoding="ascii")
            made.replace(self._path / "writings")
            if self._seen == count:
                self._seen = count + 1

    def _count(self) -> int:
        try:
            return int((self._path / "writings").read_bytes())
        except (OSError, ValueError):
            return 0

    def _unusable(self, error: OSError) -> RetrievalError:
        return RetrievalError(
            f"the index folder {self._path} cannot be written: {error.strerror}",
            hint="it needs room, and to be a folder of the user databot runs as",
        )
