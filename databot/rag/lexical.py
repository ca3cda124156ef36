"""The word index: finds chunks by the words of the question, with nothing but SQLite.

Works from the first second and without any model; it does not know that "revenue" and "sales" are near. The vector
index does, and `hybrid.py` joins the two.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from databot.rag.base import Chunk, Kind, Passage, RetrievalError
from databot.rag.fts import FullTextFile
from databot.rag.workers import Workers

T = TypeVar("T")


class LexicalIndex:
    """A `ChunkIndex` in one SQLite file, used by one thread. Opened at the first call."""

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._workers = Workers("the word index")
        self._file: FullTextFile | None = None

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        await self._run(lambda file: file.upsert(tenant_id, kind, chunks))

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        return await self._run(lambda file: file.sources(tenant_id, kind))

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
        await self._workers.aclose()

    async def _run(self, work: Callable[[FullTextFile], T]) -> T:
        return await self._workers.run(lambda: self._translated(work), timeout_s=self._timeout_s)

    def _translated(self, work: Callable[[FullTextFile], T]) -> T:
        """In the thread: open the file if need be, do the work, say failures in our words."""
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = FullTextFile(self._path)
            return work(self._file)
        except (sqlite3.Error, OSError) as error:
            raise RetrievalError(
                f"the word index {self._path} failed: {error}",
                hint="if it is damaged, stop databot and delete it; the next start fills it again",
            ) from error
