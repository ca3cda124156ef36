"""The contract of retrieval: documents in, cited passages out.

Retrieval knows no model and no conversation log. One collection per tenant and kind: isolation is the collection, not
a filter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from databot.types.evidence import Citation
from databot.types.messages import Turn

Kind = Literal["schema", "document"]
KINDS: tuple[Kind, ...] = ("schema", "document")


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
