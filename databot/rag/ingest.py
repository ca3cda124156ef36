"""Brings the indexes up to date with the sources, and writes only what changed.

Chunk ids are hashes of their content, so a document is compared by ids alone: new ids are embedded and written, ids it
no longer has are removed, documents that are gone are removed, and what could not be read stays as it was. Each index
is compared by itself: one that was broken or empty yesterday catches up today. Nothing here raises: what goes wrong is
counted and told.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from databot.rag.base import (
    KINDS,
    Chunk,
    ChunkIndex,
    Document,
    DocumentSource,
    IngestReport,
    IngestStatus,
    Kind,
    RetrievalError,
    SourceProblem,
)
from databot.rag.chunking import chunk_document
from databot.types.clock import Clock
from databot.types.errors import describe

BATCH = 64
MAX_PROBLEMS = 50
MAX_FAILURES = 3
"""An index that fails this often in a row is left alone until the next sync."""


class Ingestor:
    """Syncs sources into every one of `indexes`; one sync a tenant at a time."""

    def __init__(
        self, indexes: Sequence[ChunkIndex], sources: Sequence[DocumentSource], clock: Clock
    ) -> None:
        self._indexes = indexes
        self._sources = sources
        self._clock = clock
        self._status: dict[str, IngestStatus] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def status(self, tenant_id: str) -> IngestStatus:
        """How far it is; never waits."""
        return self._status.get(tenant_id, IngestStatus())

    async def sync(self, tenant_id: str) -> IngestReport:
        """Bring a tenant's indexes up to date. A second call waits for the first and then looks again."""
        async with self._locks[tenant_id]:
            started = time.perf_counter()
            before = self.status(tenant_id)
            self._status[tenant_id] = replace(before, running=True, documents=0, chunks=0)
            run = _Run(tenant_id=tenant_id)
            try:
                await self._sync(run)
            finally:
                self._status[tenant_id] = replace(self.status(tenant_id), running=False)
            report = run.report(time.perf_counter() - started)
            self._status[tenant_id] = replace(
                self.status(tenant_id),
                documents=run.documents,
                chunks=run.chunks,
                last=report,
                finished_at=self._clock.now(),
            )
            return report

    async def _sync(self, run: "_Run") -> None:
        for index in self._indexes:
            await run.open(index)
        for source in self._sources:
            async with aclosing(_checked(source, run.tenant_id)) as documents:
                async for item in documents:
                    await run.take(item)
                    self._status[run.tenant_id] = replace(
                        self.status(run.tenant_id), documents=run.documents, chunks=run.chunks
                    )
        await run.finish()


async def _checked(
    source: DocumentSource, tenant_id: str
) -> AsyncGenerator[Document | SourceProblem, None]:
    """What a source gives; a source that breaks its promise and raises is a problem that protects everything."""
    try:
        async for item in source.documents(tenant_id):
            yield item
    except Exception as error:  # boundary: one document source, which may be a plugin's
        yield SourceProblem(source="", detail=f"{type(source).__name__} failed: {describe(error)}")


@dataclass(slots=True, kw_only=True)
class _Target:
    """One index during a run: what it held at the start, and what is to be written and removed."""

    index: ChunkIndex
    tenant_id: str
    known: Mapping[Kind, Mapping[str, frozenset[str]]]
    pending: dict[Kind, list[Chunk]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    stale: dict[Kind, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    failures: int = 0
    incomplete: bool = False

    @property
    def given_up(self) -> bool:
        return self.failures >= MAX_FAILURES

    def compare(self, document: Document, chunks: Sequence[Chunk]) -> str:
        """Note what this document needs: `added`, `updated` or `unchanged`."""
        known = self.known[document.kind].get(document.source, frozenset())
        wanted = {chunk.id for chunk in chunks}
        self.pending[document.kind] += [chunk for chunk in chunks if chunk.id not in known]
        self.stale[document.kind] += known - wanted
        if not known and wanted:
            return "added"
        return "updated" if known ^ wanted else "unchanged"

    async def flush(self, kind: Kind, *, least: int) -> int:
        """Write, then remove, when at least `least` chunks wait; the number written.

        Once a write has failed nothing more is removed in this run: old passages are better than none.
        """
        written = 0
        while not self.given_up and len(self.pending[kind]) >= max(least, 1):
            batch, self.pending[kind] = self.pending[kind][:BATCH], self.pending[kind][BATCH:]
            try:
                await self.index.upsert(self.tenant_id, kind, batch)
            except RetrievalError:
                self.failures += 1
                self.incomplete = True
                raise
            written += len(batch)
            self.failures = 0
        if self.stale[kind] and not self.pending[kind] and not self.incomplete:
            ids, self.stale[kind] = self.stale[kind], []
            await self.index.delete(self.tenant_id, kind, ids)
        return written


@dataclass(slots=True, kw_only=True)
class _Run:
    """One sync of one tenant: the counts, the problems, and the indexes that take part."""

    tenant_id: str
    targets: list[_Target] = field(default_factory=list[_Target])
    seen: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    kept: list[str] = field(default_factory=list[str])
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    problems: list[str] = field(default_factory=list[str])
    problem_count: int = 0
    chunks: int = 0

    @property
    def documents(self) -> int:
        return sum(len(names) for names in self.seen.values())

    async def open(self, index: ChunkIndex) -> None:
        try:
            known: dict[Kind, Mapping[str, frozenset[str]]] = {
                kind: await index.sources(self.tenant_id, kind) for kind in KINDS
            }
        except RetrievalError as error:
            self.problem(describe(error))
        else:
            self.targets.append(_Target(index=index, tenant_id=self.tenant_id, known=known))

    async def take(self, item: Document | SourceProblem) -> None:
        if isinstance(item, SourceProblem):
            self.kept.append(item.source)
            self.problem(item.detail)
            return
        if item.source in self.seen[item.kind]:
            return
        self.seen[item.kind].add(item.source)
        chunks = await asyncio.to_thread(chunk_document, item)
        states = {target.compare(item, chunks) for target in self.targets if not target.given_up}
        if states:
            state = "added" if states == {"added"} else "updated"
            self.counts["unchanged" if states == {"unchanged"} else state] += 1
        await self._flush(item.kind, least=BATCH)

    async def finish(self) -> None:
        """Write what waits, then remove the documents that are gone."""
        for kind in KINDS:
            gone: set[str] = set()
            for target in self.targets:
                names = [name for name in target.known[kind] if self._is_gone(kind, name)]
                target.stale[kind] += [i for name in names for i in target.known[kind][name]]
                gone.update(names)
            self.counts["removed"] += len(gone)
            await self._flush(kind, least=1)

    def problem(self, line: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(line)

    def report(self, seconds: float) -> IngestReport:
        return IngestReport(
            added=self.counts["added"],
            updated=self.counts["updated"],
            removed=self.counts["removed"],
            unchanged=self.counts["unchanged"],
            chunks=self.chunks,
            problems=tuple(self.problems),
            problem_count=self.problem_count,
            seconds=seconds,
        )

    def _is_gone(self, kind: Kind, name: str) -> bool:
        return name not in self.seen[kind] and not any(name.startswith(k) for k in self.kept)

    async def _flush(self, kind: Kind, *, least: int) -> None:
        written = 0
        for target in self.targets:
            try:
                written = max(written, await target.flush(kind, least=least))
            except RetrievalError as error:
                self.problem(describe(error))
        self.chunks += written
