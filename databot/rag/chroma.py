"""The vector index: finds chunks by meaning, in Chroma, embedded in this process or on a server.

One collection per (tenant, kind, vector space), never a filter. Vectors are always given: Chroma's own default embedding
function, which downloads a model, is never reached. Chroma blocks and may hang or panic, so every call runs in one of two
threads with a time limit and every failure becomes a `RetrievalError`.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from databot.rag.base import Chunk, Embedder, Kind, Passage, RetrievalError
from databot.rag.chroma_client import SharedClient
from databot.rag.folder import IndexFolder
from databot.rag.workers import Workers
from databot.types.errors import shorten

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

T = TypeVar("T")
WRITE_BATCH = 256
PAGE = 2_000
CLOSE_S = 5.0


class ChromaIndex:
    """A `ChunkIndex` in Chroma: `location` is a folder, or the `http(s)://` address of a server.

    Opened (and imported) at the first call, and anew when another process has written to `folder`. Needs an embedder that
    is ready.
    """

    def __init__(
        self,
        location: Path | str,
        embedder: Embedder,
        folder: IndexFolder | None = None,
        *,
        timeout_s: float = 30.0,
    ) -> None:
        self._location = location
        self._embedder = embedder
        self._timeout_s = timeout_s
        self._client = SharedClient(location, folder)
        self._workers = Workers("the vector index", threads=2)
        self._looks = Workers("the vector index")

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        for start in range(0, len(chunks), WRITE_BATCH):
            # Two chunks of one id in a batch would make Chroma refuse the batch: the later one counts.
            batch = list(
                {chunk.id: chunk for chunk in chunks[start : start + WRITE_BATCH]}.values()
            )
            vectors = await self._embedder.embed([embedded_text(chunk) for chunk in batch])
            await self._run(lambda b=batch, v=vectors: self._upsert(tenant_id, kind, b, v))

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        return await self._run(lambda: self._sources(tenant_id, kind))

    async def count(self, tenant_id: str, kind: Kind) -> int:
        """In a thread of its own, so that whoever looks does not stand in a search's way."""
        return await self._run(lambda: self._count(tenant_id, kind), self._looks)

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        await self._run(lambda: self._delete(tenant_id, kind, list(dict.fromkeys(ids))))

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        if not query.strip():
            return []
        (vector,) = await self._embedder.embed([query])
        return await self._run(lambda: self._search(tenant_id, kind, vector, top_k))

    async def aclose(self) -> None:
        if self._client.is_open:
            # Chroma that hangs keeps its thread until the process ends: nothing else can be done about it.
            with suppress(RetrievalError):
                await self._workers.run(
                    lambda: self._translated(self._client.close), timeout_s=CLOSE_S
                )
        await asyncio.gather(self._workers.aclose(), self._looks.aclose())

    async def _run(self, work: Callable[[], T], workers: Workers | None = None) -> T:
        workers = workers or self._workers
        return await workers.run(lambda: self._translated(work), timeout_s=self._timeout_s)

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except RetrievalError:
            raise
        except BaseException as error:  # boundary: Chroma, whose native part panics
            self._client.forget_collections()
            raise RetrievalError(
                f"the vector index {self._shown()} failed: {shorten(' '.join(str(error).split()), 200)}",
                hint=self._hint(),
            ) from error

    def _shown(self) -> str:
        if isinstance(self._location, Path):
            return str(self._location)
        return urlsplit(self._location).netloc.rpartition("@")[2]

    def _hint(self) -> str:
        if isinstance(self._location, Path):
            return "if it is damaged, stop databot and delete the folder; the next start fills it again"
        return "check rag.chroma and that the server is up"

    def _upsert(
        self,
        tenant_id: str,
        kind: Kind,
        chunks: Sequence[Chunk],
        vectors: Sequence[Sequence[float]],
    ) -> None:
        collection = self._collection(tenant_id, kind, create=True)
        assert collection is not None
        collection.upsert(
            ids=[chunk.id for chunk in chunks],
            embeddings=_matrix(vectors),
            documents=[chunk.text for chunk in chunks],
            metadatas=[{"source": chunk.source, "title": chunk.title} for chunk in chunks],
        )

    def _sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        collection = self._collection(tenant_id, kind)
        found: defaultdict[str, set[str]] = defaultdict(set)
        total = collection.count() if collection else 0
        for offset in range(0, total, PAGE):
            assert collection is not None
            page = collection.get(limit=PAGE, offset=offset, include=["metadatas"])
            for name, metadata in zip(page["ids"], page["metadatas"] or [], strict=True):
                found[str(metadata["source"])].add(name)
        return {source: frozenset(names) for source, names in found.items()}

    def _count(self, tenant_id: str, kind: Kind) -> int:
        collection = self._collection(tenant_id, kind)
        return collection.count() if collection else 0

    def _delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        collection = self._collection(tenant_id, kind)
        for start in range(0, len(ids) if collection else 0, WRITE_BATCH):
            assert collection is not None
            collection.delete(ids=list(ids[start : start + WRITE_BATCH]))

    def _search(
        self, tenant_id: str, kind: Kind, vector: Sequence[float], top_k: int
    ) -> Sequence[Passage]:
        collection = self._collection(tenant_id, kind)
        if collection is None:
            return []
        answer = cast(
            "Mapping[str, Any]",
            collection.query(
                query_embeddings=_matrix([vector]),
                n_results=top_k,
                include=["documents", "metadatas", "distances"],
            ),
        )
        rows = zip(
            *(answer[part][0] for part in ("ids", "documents", "metadatas", "distances")),
            strict=True,
        )
        passages = [
            Passage(
                chunk=Chunk(
                    id=name,
                    source=metadata["source"],
                    title=metadata["title"],
                    text=text or "",
                    kind=kind,
                ),
                score=min(max(1.0 - float(distance), 0.0), 1.0),
            )
            for name, text, metadata, distance in rows
            if metadata  # another process may just have removed it
        ]
        return sorted(passages, key=lambda passage: (-passage.score, passage.chunk.id))

    def _collection(
        self, tenant_id: str, kind: Kind, *, create: bool = False
    ) -> "Collection | None":
        """The collection, or `None` when it does not exist and is not to be made."""
        name = collection_name(tenant_id, kind, self._embedder.name)
        return self._client.collection(name, create=create)


def collection_name(tenant_id: str, kind: Kind, space: str) -> str:
    """A name Chroma takes, whatever the tenant and the model are called; two tenants never share one."""
    return f"{kind}-{_digest(tenant_id)[:32]}-{_digest(space)[:12]}"


def embedded_text(chunk: Chunk) -> str:
    """What a chunk's vector stands for: the text under its headings."""
    return f"{chunk.title}\n{chunk.text}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _matrix(vectors: Sequence[Sequence[float]]) -> Any:  # noqa: ANN401 - an array of float32
    import numpy as np

    return np.asarray(vectors, dtype=np.float32)
