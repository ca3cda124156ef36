"""Retrieval as one thing: opened from plain values, closed again.

Opening reads and imports nothing heavy. Everything lives under `<data_dir>/rag/` and `<data_dir>/models/`, is derived
from the sources, and may be deleted while databot is stopped. Several processes may use it: one at a time writes, and
the others find what it wrote.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from databot.rag.folder import IndexFolder
from databot.rag.gate import GatedIndex
from databot.rag.hybrid import HybridIndex
from databot.rag.ingest import Ingestor
from databot.rag.lexical import LexicalIndex
from databot.rag.loaders import FolderSource
from databot.rag.schema_docs import SchemaSource
from databot.rag.warming import WarmingRetriever
from databot.types.clock import Clock
from databot.types.errors import ConfigError, describe
from databot.types.messages import DEFAULT_TENANT

LOOK_S = 2.0
BUSY = "another databot is bringing these indexes up to date"


@dataclass(frozen=True, slots=True, kw_only=True)
class RagExtras:
    """What only some deployments have: more tenants than one, plugin loaders, a rule of who may see what, an embedding
    service's access. `load_litellm` imports the library that asks it.
    """

    tenants: tuple[str, ...] = (DEFAULT_TENANT,)
    loaders: tuple[Loader, ...] = ()
    allow: Allow | None = None
    embedding_api_base: str | None = None
    embedding_api_key: str = ""
    load_litellm: Callable[[], Any] | None = None
    limits: ContextLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RAG:
    """The open parts. `context` is the `PromptEnricher`; `index` holds the chunks of `tenants`."""

    context: RAGContext
    ingestor: Ingestor
    index: HybridIndex
    gate: GatedIndex
    retriever: WarmingRetriever
    folder: IndexFolder
    tenants: tuple[str, ...]

    async def sync(self, tenant_id: str) -> IngestReport:
        """Make the embedding ready if it can be, then bring the tenant's indexes up to date; never raises.

        Run it in the background at start (and again whenever sources change): until it is done word search serves.
        """
        await self.warm(tenant_id)
        try:
            with self.folder.writing() as alone:
                if alone:
                    return await self.ingestor.sync(tenant_id)
            problem = BUSY
        except RetrievalError as error:
            problem = describe(error)
        return IngestReport(problems=(problem,), problem_count=1)

    async def warm(self, tenant_id: str) -> None:
        """Make the embedding ready and open the vector index, if it can be; never raises.

        Where it cannot, the gate stays closed and says why: in the report of a sync, in notes and in the status.
        """
        self.retriever.begin()
        with suppress(RetrievalError):
            await self.gate.prepare()
            for kind in KINDS:
                await self.gate.count(tenant_id, kind)
        self.retriever.end()

    def progress(self, tenant_id: str) -> IngestStatus:
        """How far the sync is; never waits."""
        return self.ingestor.status(tenant_id)

    async def status(self, tenant_id: str) -> tuple[PartStatus, ...]:
        """How the embedding and the two indexes are; never raises, never takes longer than `LOOK_S`."""
        words, meaning = self.index.parts
        looks = await asyncio.gather(
            _look("word index", words, tenant_id), _look("vector index", meaning, tenant_id)
        )
        return (self.gate.status(), *looks)


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
    place = data_dir / "rag"
    folder = IndexFolder(place)
    gate = GatedIndex(ChromaIndex(chroma_url or place / "chroma", embedder, folder), embedder)
    index = HybridIndex(LexicalIndex(place / "words.db"), gate, clock)
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
        folder=folder,
        tenants=extras.tenants,
    )
    try:
        yield rag
    finally:
        await index.aclose()


def make_embedder(data_dir: Path, embedding: str, extras: RagExtras) -> PreparableEmbedder:
    """The embedder a configuration names; nothing is loaded yet."""
    if embedding == "local":
        return LocalEmbedder(data_dir)
    if extras.load_litellm is None:
        raise ConfigError(f"rag.embedding: {embedding!r} needs LiteLLM, and there is none here")
    return LiteLLMEmbedder(
        embedding,
        extras.load_litellm,
        api_base=extras.embedding_api_base,
        api_key=extras.embedding_api_key,
    )


async def _look(name: str, index: ChunkIndex, tenant_id: str) -> PartStatus:
    try:
        async with asyncio.timeout(LOOK_S):
            counts = [await index.count(tenant_id, kind) for kind in KINDS]
    except TimeoutError:
        return PartStatus(name=name, state="down", detail=f"no answer within {LOOK_S:g} s")
    except RetrievalError as error:
        return PartStatus(name=name, state="down", detail=describe(error))
    detail = ", ".join(f"{count} {kind} chunks" for count, kind in zip(counts, KINDS, strict=True))
    return PartStatus(name=name, state="ok", detail=detail)
