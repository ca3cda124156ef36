"""The vector index behind its embedding: closed, with the reason, until the embedding is ready.

So nothing of Chroma is opened or imported while there are no vectors to ask it with.
"""

from collections.abc import Mapping, Sequence

from databot.rag.base import Chunk, ChunkIndex, Kind, PartStatus, Passage, RetrievalError
from databot.rag.embeddings import PreparableEmbedder
from databot.types.errors import describe


class GatedIndex:
    """A `ChunkIndex` that raises `RetrievalError` until `prepare` has succeeded."""

    def __init__(self, inner: ChunkIndex, embedder: PreparableEmbedder) -> None:
        self._inner = inner
        self._embedder = embedder
        self._closed = "the embedding model is being prepared"
        self._failed = False

    async def prepare(self) -> None:
        """Make the embedding ready. Raises `RetrievalError`; may be tried again."""
        try:
            await self._embedder.prepare()
        except RetrievalError as error:
            self._closed, self._failed = describe(error), True
            raise
        self._failed = False

    def status(self) -> PartStatus:
        """How the embedding is."""
        if self._embedder.ready:
            return PartStatus(name="embedding", state="ok", detail=self._embedder.name)
        state = "down" if self._failed else "preparing"
        return PartStatus(name="embedding", state=state, detail=self._closed)

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        await self._opened().upsert(tenant_id, kind, chunks)

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        return await self._opened().sources(tenant_id, kind)

    async def count(self, tenant_id: str, kind: Kind) -> int:
        return await self._opened().count(tenant_id, kind)

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        await self._opened().delete(tenant_id, kind, ids)

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        return await self._opened().search(tenant_id, kind, query, top_k)

    async def aclose(self) -> None:
        await self._inner.aclose()
        await self._embedder.aclose()

    def _opened(self) -> ChunkIndex:
        if not self._embedder.ready:
            raise RetrievalError(self._closed)
        return self._inner
