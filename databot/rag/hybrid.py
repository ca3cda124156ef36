"""Word search and meaning search as one index.

Both are asked at once and their rankings are fused by reciprocal rank; the fused score is scaled by how good the match
is in itself, so that the best of many bad matches still scores low and a floor can be put under it. When one of the two
cannot answer, or is late, the other serves and the result says so.
"""

import asyncio
from collections.abc import Mapping, Sequence

from databot.rag.base import Chunk, ChunkIndex, Found, Kind, Passage, RetrievalError
from databot.types.clock import Clock
from databot.types.errors import describe

RANK_CONSTANT = 60
"""The usual constant of reciprocal rank fusion: how slowly lower ranks lose weight."""
DEPTH = 24
REST_S = 30.0
"""How long a part that failed by being late is left alone, so that not every turn waits for it."""


class HybridIndex:
    """A `ChunkIndex` and `Retriever` over two indexes that hold the same chunks.

    `search_timeout_s` bounds each part of a search; it should be shorter than what the turn allows.
    """

    def __init__(
        self, words: ChunkIndex, meaning: ChunkIndex, clock: Clock, *, search_timeout_s: float = 1.0
    ) -> None:
        self.parts: tuple[ChunkIndex, ChunkIndex] = (words, meaning)
        self._clock = clock
        self._search_timeout_s = search_timeout_s
        self._rest_until: dict[int, float] = {}

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        for part in self.parts:
            await part.upsert(tenant_id, kind, chunks)

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        """The chunks that every part holds."""
        words, meaning = [await part.sources(tenant_id, kind) for part in self.parts]
        return {name: words[name] & meaning[name] for name in words.keys() & meaning.keys()}

    async def count(self, tenant_id: str, kind: Kind) -> int:
        """What the part holds that holds least."""
        return min([await part.count(tenant_id, kind) for part in self.parts])

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        for part in self.parts:
            await part.delete(tenant_id, kind, ids)

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        return (await self.find(tenant_id, kind, query, top_k)).passages

    async def find(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Found:
        depth = max(top_k * 2, DEPTH)
        results = await asyncio.gather(
            *(self._ask(place, tenant_id, kind, query, depth) for place in range(len(self.parts)))
        )
        rankings = [result for result in results if not isinstance(result, RetrievalError)]
        problems = [describe(result) for result in results if isinstance(result, RetrievalError)]
        if not rankings:
            raise RetrievalError("search is not available: " + "; ".join(problems))
        passages = fuse(rankings)[:top_k]
        return Found(passages=passages, note=self._note(results) if passages else "")

    async def aclose(self) -> None:
        for part in self.parts:
            await part.aclose()

    async def _ask(
        self, place: int, tenant_id: str, kind: Kind, query: str, depth: int
    ) -> Sequence[Passage] | RetrievalError:
        """One part's answer, or why there is none; a late part rests for a while."""
        if self._clock.monotonic() < self._rest_until.get(place, 0.0):
            return RetrievalError("it was too slow a moment ago and is left alone for now")
        try:
            async with asyncio.timeout(self._search_timeout_s):
                return await self.parts[place].search(tenant_id, kind, query, depth)
        except TimeoutError:
            self._rest_until[place] = self._clock.monotonic() + REST_S
            return RetrievalError(f"it gave no answer within {self._search_timeout_s:g} s")
        except RetrievalError as error:
            return error

    def _note(self, results: Sequence[Sequence[Passage] | RetrievalError]) -> str:
        words, meaning = results
        if isinstance(meaning, RetrievalError):
            return f"passages were found by their words only: {describe(meaning)}"
        if isinstance(words, RetrievalError):
            return f"passages were found by their meaning only: {describe(words)}"
        return ""


def fuse(rankings: Sequence[Sequence[Passage]]) -> tuple[Passage, ...]:
    """Reciprocal rank fusion, 1 for a chunk that leads every ranking, times the chunk's best own score."""
    ranks: dict[str, float] = {}
    best: dict[str, Passage] = {}
    top = len(rankings) / (RANK_CONSTANT + 1)
    for ranking in rankings:
        for place, passage in enumerate(ranking, start=1):
            name = passage.chunk.id
            ranks[name] = ranks.get(name, 0.0) + 1 / (RANK_CONSTANT + place)
            if name not in best or passage.score > best[name].score:
                best[name] = passage
    fused = [
        Passage(chunk=passage.chunk, score=passage.score * ranks[name] / top)
        for name, passage in best.items()
    ]
    return tuple(sorted(fused, key=lambda passage: (-passage.score, passage.chunk.id)))
