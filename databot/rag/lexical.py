"""The word index: finds chunks by the words of the question, with nothing but SQLite.

Works from the first second and without any model; it does not know that "revenue" and "sales" are near. The vector
index does, and `hybrid.py` joins the two.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from databot.rag.base import Chunk, Kind, Passage, RetrievalError
from databot.rag.fts import FullTextFile
from databot.rag.workers import Workers

T = TypeVar("T")


class LexicalIndex:
    """A `ChunkIndex` in one SQLite file, used by one thread. Opened at the first call, and anew when it was deleted."""

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._workers = Workers("the word index")
        self._looks = Workers("the word index")
        self._file: FullTextFile | None = None

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        await self._run(lambda file: file.upsert(tenant_id, kind, chunks))

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        return await self._run(lambda file: file.sources(tenant_id, kind))

    async def count(self, tenant_id: str, kind: Kind) -> int:
        """In a thread and on a connection of its own, so that whoever looks does not stand in a search's way."""

        def look() -> int:
            with self._our_words(), closing(self._open()) as file:
                return file.count(tenant_id, kind)

        return await self._looks.run(look, timeout_s=self._timeout_s)

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        await self._run(lambda file: file.delete(tenant_id, kind, ids))

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        return await self._run(lambda file: file.search(tenant_id, kind, query, top_k))

    async def aclose(self) -> None:
        file, self._file = self._file, None
        if file:
            # A thread that hangs keeps the file until the process ends: nothing else can be done about it.
            with suppress(RetrievalError):
                await self._workers.run(file.close, timeout_s=self._timeout_s)
        await asyncio.gather(self._workers.aclose(), self._looks.aclose())

    async def _run(self, work: Callable[[FullTextFile], T]) -> T:
        def do() -> T:
            with self._our_words():
                return work(self._current())

        return await self._workers.run(do, timeout_s=self._timeout_s)

    def _current(self) -> FullTextFile:
        """The open file; one that is no longer where it was opened would be searched and filled for nobody."""
        if self._file and not self._file.in_place():
            stale, self._file = self._file, None
            stale.close()
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> FullTextFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FullTextFile(self._path)

    @contextmanager
    def _our_words(self) -> Generator[None]:
        """Say failures in our words."""
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise RetrievalError(
                f"the word index {self._path} failed: {error}",
                hint="if it is damaged, stop databot and delete it; the next start fills it again",
            ) from error
