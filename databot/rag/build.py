"""Retrieval as one thing: opened from plain values, closed again.

Opening reads and imports nothing heavy. Everything lives under `<data_dir>/rag/` and `<data_dir>/models/`, is derived
from the sources, and may be deleted while databot is stopped. One process at a time should use a data directory.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from databot.connectors.base import Connectors
from databot.rag.base import (
    KINDS,
    ChunkIndex,
    DocumentSource,
    IngestReport,
    IngestStatus,
    Loader,
    PartStatus,
    RetrievalError,
)
from databot.rag.chroma import ChromaIndex
from databot.rag.context import Allow, ContextLimits, RAGContext
from databot.rag.embeddings import LiteLLMEmbedder, LocalEmbedder, PreparableEmbedder
from databot.rag.gate import GatedIndex
from databot.rag.hybrid import HybridIndex
from databot.rag.ingest import Ingestor
from databot.rag.lexical import LexicalIndex
from databot.rag.loaders import FolderSource
from databot.rag.lock import writing
from databot.rag.schema_docs import SchemaSource
from databot.rag.warming import WarmingRetriever
from databot.types.clock import Clock
from databot.types.errors import describe

BUSY = "another databot is bringing these indexes up to date"


@dataclass(frozen=True, slots=True, kw_only=True)
class RagExtras:
    """What only some deployments have: plugin loaders, a rule of who may see what, an embedding service's access."""

    loaders: tuple[Loader, ...] = ()
    allow: Allow | None = None
    embedding_api_base: str | None = None
    embedding_api_key: str = ""
    limits: ContextLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RAG:
    """The open parts. `context` is the `PromptEnricher`; `index` holds the chunks."""

    context: RAGContext
    ingestor: Ingestor
    index: HybridIndex
    gate: GatedIndex
    retriever: WarmingRetriever
    folder: Path

    async def sync(self, tenant_id: str) -> IngestReport:
        """Make the embedding ready if it can be, then bring the tenant's indexes up to date; never raises.

        Run it in the background at start (and again whenever sources change): until it is done word search serves.
        """
        await self.warm(tenant_id)
        with writing(self.folder) as alone:
            if not alone:
                return IngestReport(problems=(BUSY,), problem_count=1)
            return await self.ingestor.sync(tenant_id)

    async def warm(self, tenant_id: str) -> None:
        """Make the embedding ready and open the vector index, if it can be; never raises.

        Where it cannot, the gate stays closed and says why: in the report of a sync, in notes and in the status.
        """
        self.retriever.begin()
        with suppress(RetrievalError):
            await self.gate.prepare()
            await self.gate.sources(tenant_id, KINDS[0])
        self.retriever.end()

    def progress(self, tenant_id: str) -> IngestStatus:
        """How far the sync is; never waits."""
        return self.ingestor.status(tenant_id)

    async def status(self, tenant_id: str) -> tuple[PartStatus, ...]:
        """How the embedding and the two indexes are, for `doctor` and `rag status`; never raises."""
        words, meaning = self.index.parts
        return (
            self.gate.status(),
            await _look("word index", words, tenant_id),
            await _look("vector index", meaning, tenant_id),
        )


@asynccontextmanager
async def open_rag(
    data_dir: Path,
    *,
    embedding: str = "local",
    chroma_url: str | None = None,
    top_k: int = 6,
    sources: Sequence[Path] = (),
    connectors: Connectors | None = None,
    clock: Clock,
    extras: RagExtras | None = None,
) -> AsyncGenerator[RAG, None]:
    """Retrieval for as long as the block lasts.

    `embedding` is `local` or a LiteLLM embedding model; `chroma_url` a Chroma server, or `None` for one inside this
    process; `sources` files and folders; `connectors` those whose schemas are indexed.
    """
    extras = extras or RagExtras()
    embedder = make_embedder(data_dir, embedding, extras)
    gate = GatedIndex(ChromaIndex(chroma_url or data_dir / "rag" / "chroma", embedder), embedder)
    index = HybridIndex(LexicalIndex(data_dir / "rag" / "words.db"), gate, clock)
    limits = extras.limits or ContextLimits(top_k=top_k)
    documents: list[DocumentSource] = [FolderSource(sources, extras.loaders)]
    if connectors is not None:
        documents.append(SchemaSource(connectors))
    retriever = WarmingRetriever(index)
    rag = RAG(
        context=RAGContext(retriever, limits, extras.allow),
        ingestor=Ingestor(index.parts, documents, clock),
        index=index,
        gate=gate,
        retriever=retriever,
        folder=data_dir / "rag",
    )
    try:
        yield rag
    finally:
        await index.aclose()


def make_embedder(data_dir: Path, embedding: str, extras: RagExtras) -> PreparableEmbedder:
    """The embedder a configuration names; nothing is loaded yet."""
    if embedding == "local":
        return LocalEmbedder(data_dir)
    return LiteLLMEmbedder(
        embedding, api_base=extras.embedding_api_base, api_key=extras.embedding_api_key
    )


async def _look(name: str, index: ChunkIndex, tenant_id: str) -> PartStatus:
    try:
        held = [await index.sources(tenant_id, kind) for kind in KINDS]
    except RetrievalError as error:
        return PartStatus(name=name, state="down", detail=describe(error))
    counts = [sum(len(ids) for ids in part.values()) for part in held]
    detail = ", ".join(f"{count} {kind} chunks" for count, kind in zip(counts, KINDS, strict=True))
    return PartStatus(name=name, state="ok", detail=detail)
