"""The contract of retrieval: documents in, cited passages out.

Retrieval knows no model and no conversation log. One collection per tenant and kind: isolation is the collection, not
a filter.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from databot.types.errors import DatabotError
from databot.types.evidence import Citation
from databot.types.messages import Turn

Kind = Literal["schema", "document"]
KINDS: tuple[Kind, ...] = ("schema", "document")


class RetrievalError(DatabotError):
    """A part of retrieval (index, embedding, weights) cannot do its work; answers go on without it."""

    type = "retrieval_unavailable"
    status = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A source to be found again: `source` is its stable name (a path, `connector/table`), `text` its whole content."""

    source: str
    title: str
    text: str
    kind: Kind
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stored piece of a document; `id` is stable for the same source and text."""

    id: str
    source: str
    title: str
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved chunk; a higher `score` is a better match, 0 to 1."""

    chunk: Chunk
    score: float


class Embedder(Protocol):
    """Turns texts into vectors of length `dimensions`, scaled to length 1."""

    @property
    def name(self) -> str:
        """Names the vector space: vectors of different names never meet."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector a text, in order, off the event loop."""
        ...


class ChunkIndex(Protocol):
    """Stores the chunks of one deployment, in a collection per (tenant, kind), and finds them again."""

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        """Add chunks, or replace those with the same id."""
        ...

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        """The chunk ids stored for each source."""
        ...

    async def count(self, tenant_id: str, kind: Kind) -> int:
        """How many chunks are stored; cheap, and never in the way of a search."""
        ...

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        """Remove chunks; unknown ids are fine."""
        ...

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        """The best matches, best first; empty when nothing is stored."""
        ...

    async def aclose(self) -> None:
        """Let files and threads go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrichment:
    """What retrieval adds to a prompt: fenced text, the citations it holds, and remarks for the person."""

    text: str = ""
    citations: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()


class PromptEnricher(Protocol):
    """What the loop asks for context before it calls the model."""

    async def enrich_prompt(self, turn: Turn) -> Enrichment:
        """Passages for this turn; never raises: when retrieval is broken it says so in `notes`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found, best first; `note` is one line when a part of retrieval did not take part."""

    passages: tuple[Passage, ...] = ()
    note: str = ""


class Retriever(Protocol):
    """Finds passages, with whatever parts of retrieval work now."""

    async def find(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Found:
        """The best matches; `RetrievalError` only when no part works at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem:
    """Something could not be read: what is stored under names that start with `source` is kept as it is."""

    source: str
    detail: str


class DocumentSource(Protocol):
    """Where documents come from: folders, schemas, later wikis and drives."""

    def documents(self, tenant_id: str) -> AsyncIterator[Document | SourceProblem]:
        """Every document as it is now, one at a time; what cannot be read is a problem, never an exception."""
        ...


class Loader(Protocol):
    """Turns a file into text; a plugin of the group `databot.loaders` is a class that does this.

    `suffixes` are lower-case with the dot. It runs in a thread.
    """

    @property
    def suffixes(self) -> frozenset[str]: ...

    def load(self, name: str, data: bytes) -> str:
        """The file's text as Markdown. Raises `ValueError` with one line that says why it cannot be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What a sync did, counted in documents; `chunks` were written (and embedded), `problems` are lines to act on.

    `problem_count` counts them all, also those beyond the first kept in `problems`.
    """

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    chunks: int = 0
    problems: tuple[str, ...] = ()
    problem_count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestStatus:
    """How far a tenant's sync is: `documents` and `chunks` of the running one, and the last one that ended."""

    running: bool = False
    documents: int = 0
    chunks: int = 0
    last: IngestReport | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """A part of retrieval: `detail` is one line a person can act on."""

    name: str
    state: Literal["ok", "preparing", "down"]
    detail: str = ""
