"""Parts for retrieval's tests: a small embedder without weights, indexes that break, chunks and turns by hand."""

import asyncio
import hashlib
import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from databot.connectors.base import (
    BaseConnector,
    CallContext,
    ConnectorStatus,
    QueryLimits,
    QueryResult,
    SqlSource,
    TableInfo,
    TableName,
)
from databot.rag.base import (
    Chunk,
    Document,
    Found,
    Kind,
    Passage,
    RetrievalError,
    SourceProblem,
)
from databot.rag.model import find_weights
from databot.rag.text import search_terms
from databot.types.messages import InboundMessage, Principal, Turn

WAIT_S = 30


def need_weights(data_dir: Path) -> None:
    """Skip without the model's weights; on CI that is a failure."""
    try:
        find_weights(data_dir)
    except RetrievalError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no weights: {error.hint}")
        pytest.skip(f"no weights: {error.hint}")


def chunk(
    text: str, *, source: str = "guide.md", title: str = "Guide", kind: Kind = "document"
) -> Chunk:
    name = hashlib.sha256(f"{source}\0{title}\0{text}".encode()).hexdigest()[:24]
    return Chunk(id=name, source=source, title=title, text=text, kind=kind)


def document(source: str, text: str, *, kind: Kind = "document") -> Document:
    return Document(source=source, title=source, text=text, kind=kind)


def turn(content: str, *, tenant_id: str = "acme", bot_id: str = "default") -> Turn:
    message = InboundMessage(
        channel="test",
        chat_id="chat",
        sender_id="ann",
        content=content,
        principal=Principal(id="ann", tenant_id=tenant_id),
        tenant_id=tenant_id,
        bot_id=bot_id,
    )
    return Turn(id="turn_1", message=message, started_at=datetime(2026, 1, 1, tzinfo=UTC))


class HashEmbedder:
    """Texts that share words get vectors that are near: enough to test an index with, no weights needed."""

    def __init__(self, *, name: str = "hash", dimensions: int = 64) -> None:
        self.name = name
        self.dimensions = dimensions
        self.ready = False
        self.embedded: list[str] = []
        self.broken: RetrievalError | None = None

    async def prepare(self) -> None:
        if self.broken:
            raise self.broken
        self.ready = True

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if self.broken:
            raise self.broken
        self.embedded.extend(texts)
        return [self._vector(text) for text in texts]

    async def aclose(self) -> None:
        self.ready = False

    def _vector(self, text: str) -> list[float]:
        values = [1e-3] * self.dimensions
        for term in search_terms(text):
            place = int.from_bytes(hashlib.sha256(term.encode()).digest()[:4]) % self.dimensions
            values[place] += 1.0
        length = math.sqrt(sum(value * value for value in values))
        return [value / length for value in values]


class BrokenIndex:
    """An index of which every call fails, or never ends when there is no `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        await self._fail()

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        await self._fail()
        return {}

    async def count(self, tenant_id: str, kind: Kind) -> int:
        await self._fail()
        return 0

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        await self._fail()

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        await self._fail()
        return []

    async def aclose(self) -> None:
        return None

    async def _fail(self) -> None:
        self.calls += 1
        if self.error:
            raise self.error
        await asyncio.Event().wait()


class FixedRetriever:
    """Gives the same passages of a kind to everybody, best first."""

    def __init__(self, passages: Sequence[Passage], *, note: str = "") -> None:
        self.passages = passages
        self.note = note
        self.asked: list[tuple[str, Kind, int]] = []

    async def find(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Found:
        self.asked.append((tenant_id, kind, top_k))
        fitting = [passage for passage in self.passages if passage.chunk.kind == kind]
        return Found(passages=tuple(fitting[:top_k]), note=self.note)


class ListSource:
    """Documents and problems from a list that a test may change."""

    def __init__(self, *items: Document | SourceProblem) -> None:
        self.items: list[Document | SourceProblem] = list(items)
        self.error: Exception | None = None

    async def documents(self, tenant_id: str) -> AsyncIterator[Document | SourceProblem]:
        for item in self.items:
            yield item
        if self.error:
            raise self.error


class FixedSchema(SqlSource):
    """A SQL source that knows its tables and nothing else."""

    dialect = "sqlite"

    def __init__(self, name: str, tables: Sequence[TableInfo]) -> None:
        self.name = name
        self.tables = tables
        self.error: Exception | None = None

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        if self.error:
            raise self.error
        return self.tables

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        raise NotImplementedError

    async def list_schemas(self) -> Sequence[str]:
        raise NotImplementedError

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        raise NotImplementedError

    async def describe_table(self, name: str) -> TableInfo:
        raise NotImplementedError

    async def sample(self, name: str, context: CallContext, rows: int = 5) -> QueryResult:
        raise NotImplementedError

    async def explain(self, sql: str, context: CallContext) -> str:
        raise NotImplementedError


class FixedConnectors:
    """The connectors of a deployment, by hand."""

    def __init__(self, *sources: FixedSchema) -> None:
        self.sources = list(sources)

    def names(self) -> Sequence[str]:
        return [source.name for source in self.sources]

    def get(self, name: str) -> BaseConnector:
        raise LookupError(name)

    def sql(self) -> Mapping[str, SqlSource]:
        return {source.name: source for source in self.sources}

    async def statuses(self) -> Sequence[ConnectorStatus]:
        return []
