"""Syncing: only what changed is written, what is gone is removed, and nothing that fails stops the rest."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from databot.rag.base import (
    Chunk,
    ChunkIndex,
    Document,
    Kind,
    Passage,
    RetrievalError,
    SourceProblem,
)
from databot.rag.chroma import ChromaIndex
from databot.rag.ingest import MAX_PROBLEMS, Ingestor
from databot.rag.lexical import LexicalIndex
from databot.testing.clock import START, FakeClock
from tests.rag.kit import WAIT_S, BrokenIndex, HashEmbedder, ListSource, document


@pytest.fixture
async def words(tmp_path: Path) -> AsyncIterator[LexicalIndex]:
    index = LexicalIndex(tmp_path / "words.db")
    yield index
    await index.aclose()


def ingestor(source: ListSource, *indexes: ChunkIndex) -> Ingestor:
    return Ingestor(indexes, [source], FakeClock())


async def texts(index: ChunkIndex, query: str, kind: Kind = "document") -> set[str]:
    return {passage.chunk.text for passage in await index.search("acme", kind, query, 20)}


class Flaky:
    """An index whose next writes fail."""

    def __init__(self, inner: ChunkIndex) -> None:
        self.inner = inner
        self.fail_next = 0
        self.written = 0

    async def upsert(self, tenant_id: str, kind: Kind, chunks: Sequence[Chunk]) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise RetrievalError("the disk hiccuped")
        self.written += len(chunks)
        await self.inner.upsert(tenant_id, kind, chunks)

    async def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        return await self.inner.sources(tenant_id, kind)

    async def count(self, tenant_id: str, kind: Kind) -> int:
        return await self.inner.count(tenant_id, kind)

    async def delete(self, tenant_id: str, kind: Kind, ids: Sequence[str]) -> None:
        await self.inner.delete(tenant_id, kind, ids)

    async def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        return await self.inner.search(tenant_id, kind, query, top_k)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_a_second_sync_of_unchanged_documents_writes_and_embeds_nothing(
    words: LexicalIndex, tmp_path: Path
) -> None:
    embedder = HashEmbedder()
    vectors = ChromaIndex(tmp_path / "chroma", embedder)
    source = ListSource(*(document(f"{n}.md", f"page {n} about refunds") for n in range(70)))
    ingest = ingestor(source, words, vectors)
    first = await ingest.sync("acme")
    assert (first.added, first.chunks, first.problems) == (70, 70, ())
    assert len(embedder.embedded) == 70
    second = await ingest.sync("acme")
    assert (second.added, second.updated, second.unchanged, second.chunks) == (0, 0, 70, 0)
    assert len(embedder.embedded) == 70
    await vectors.aclose()


async def test_a_changed_schema_is_really_refreshed(words: LexicalIndex) -> None:
    source = ListSource(document("shop/orders", "Columns:\n- old_price numeric", kind="schema"))
    ingest = ingestor(source, words)
    await ingest.sync("acme")
    source.items = [document("shop/orders", "Columns:\n- net_price numeric", kind="schema")]
    report = await ingest.sync("acme")
    assert (report.updated, report.added, report.removed) == (1, 0, 0)
    assert await texts(words, "old", "schema") == set()
    assert await texts(words, "net price", "schema") == {"Columns:\n- net_price numeric"}


async def test_documents_that_are_gone_are_removed(words: LexicalIndex) -> None:
    source = ListSource(document("a.md", "refunds are slow"), document("b.md", "refunds are fast"))
    ingest = ingestor(source, words)
    await ingest.sync("acme")
    source.items.pop()
    report = await ingest.sync("acme")
    assert (report.removed, report.unchanged) == (1, 1)
    assert await texts(words, "refunds") == {"refunds are slow"}


async def test_what_cannot_be_read_now_stays_as_it_was(words: LexicalIndex) -> None:
    source = ListSource(
        document("lake/t1", "table one of refunds", kind="schema"),
        document("lake2/t1", "table two of refunds", kind="schema"),
    )
    ingest = ingestor(source, words)
    await ingest.sync("acme")
    source.items = [SourceProblem(source="lake/", detail="lake is down")]
    report = await ingest.sync("acme")
    assert report.problems == ("lake is down",)
    assert report.removed == 1
    assert await texts(words, "refunds", "schema") == {"table one of refunds"}


async def test_a_source_that_raises_removes_nothing(words: LexicalIndex) -> None:
    source = ListSource(document("a.md", "refunds one"), document("b.md", "refunds two"))
    ingest = ingestor(source, words)
    await ingest.sync("acme")
    source.items.pop()
    source.error = RuntimeError("a plugin's bug")
    report = await ingest.sync("acme")
    assert (report.removed, report.problem_count) == (0, 1)
    assert await texts(words, "refunds") == {"refunds one", "refunds two"}


async def test_a_broken_index_does_not_keep_the_other_from_being_filled(
    words: LexicalIndex,
) -> None:
    source = ListSource(document("a.md", "refunds are slow"))
    report = await ingestor(source, BrokenIndex(RetrievalError("no weights")), words).sync("acme")
    assert report.added == 1
    assert report.problems == ("no weights",)
    assert await texts(words, "refunds") == {"refunds are slow"}


async def test_an_index_that_was_away_catches_up(words: LexicalIndex, tmp_path: Path) -> None:
    source = ListSource(document("a.md", "refunds are slow"))
    await ingestor(source, words).sync("acme")
    vectors = ChromaIndex(tmp_path / "chroma", HashEmbedder())
    report = await ingestor(source, words, vectors).sync("acme")
    assert (report.updated, report.chunks) == (1, 1)
    assert await texts(vectors, "refunds") == {"refunds are slow"}
    await vectors.aclose()


async def test_a_failed_write_keeps_the_old_passages_and_the_next_sync_mends_it(
    words: LexicalIndex,
) -> None:
    flaky = Flaky(words)
    source = ListSource(document("a.md", "refunds are slow"))
    ingest = ingestor(source, flaky)
    await ingest.sync("acme")
    source.items = [document("a.md", "refunds are fast")]
    flaky.fail_next = 1
    assert (await ingest.sync("acme")).problem_count == 1
    assert await texts(words, "refunds") == {"refunds are slow"}
    assert (await ingest.sync("acme")).problems == ()
    assert await texts(words, "refunds") == {"refunds are fast"}


async def test_after_a_failed_batch_nothing_is_removed_until_the_next_sync(
    words: LexicalIndex,
) -> None:
    flaky = Flaky(words)
    source = ListSource(*(document(f"{n}.md", f"refunds are slow {n}") for n in range(70)))
    ingest = ingestor(source, flaky)
    await ingest.sync("acme")
    source.items = [document(f"{n}.md", f"refunds are fast {n}") for n in range(70)]
    flaky.fail_next = 1
    await ingest.sync("acme")
    stored = await words.sources("acme", "document")
    assert len(stored) == 70
    assert sum(len(ids) for ids in stored.values()) == 76
    await ingest.sync("acme")
    stored = await words.sources("acme", "document")
    assert sum(len(ids) for ids in stored.values()) == 70


async def test_an_index_that_keeps_failing_is_left_alone_for_the_rest_of_the_sync(
    words: LexicalIndex,
) -> None:
    flaky = Flaky(words)
    flaky.fail_next = 1_000
    source = ListSource(*(document(f"{n}.md", f"page {n}") for n in range(64 * 6)))
    report = await ingestor(source, flaky).sync("acme")
    assert report.problem_count == 3
    assert flaky.written == 0


async def test_the_first_problems_are_kept_and_all_are_counted(words: LexicalIndex) -> None:
    source = ListSource(*(SourceProblem(source=f"{n}", detail=f"{n} is bad") for n in range(120)))
    report = await ingestor(source, words).sync("acme")
    assert report.problem_count == 120
    assert len(report.problems) == MAX_PROBLEMS


async def test_tenants_are_synced_apart(words: LexicalIndex) -> None:
    source = ListSource(document("a.md", "refunds are slow"))
    ingest = ingestor(source, words)
    await ingest.sync("acme")
    assert list(await words.search("other", "document", "refunds", 5)) == []
    assert ingest.status("other").last is None


async def test_progress_and_the_last_report_are_visible(words: LexicalIndex) -> None:
    source = ListSource(document("a.md", "refunds are slow"))
    ingest = ingestor(source, words)
    assert not ingest.status("acme").running
    seen: list[bool] = []

    class Watching(ListSource):
        async def documents(self, tenant_id: str) -> AsyncIterator[Document | SourceProblem]:
            seen.append(ingest.status(tenant_id).running)
            async for item in source.documents(tenant_id):
                yield item

    ingest = Ingestor([words], [Watching()], FakeClock())
    report = await ingest.sync("acme")
    status = ingest.status("acme")
    assert seen == [True]
    assert (status.running, status.documents, status.chunks) == (False, 1, 1)
    assert (status.last, status.finished_at) == (report, START)


async def test_two_syncs_at_once_take_turns(words: LexicalIndex) -> None:
    source = ListSource(*(document(f"{n}.md", f"page {n}") for n in range(10)))
    ingest = ingestor(source, words)
    async with asyncio.timeout(WAIT_S):
        reports = await asyncio.gather(*(ingest.sync("acme") for _ in range(3)))
    assert sorted(report.added for report in reports) == [0, 0, 10]


async def test_a_cancelled_sync_is_no_longer_running_and_can_be_begun_again(
    words: LexicalIndex,
) -> None:
    source = ListSource(document("a.md", "refunds are slow"))
    ingest = Ingestor([words, BrokenIndex()], [source], FakeClock())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ingest.sync("acme")
    assert not ingest.status("acme").running
    assert (await ingestor(source, words).sync("acme")).added == 1
