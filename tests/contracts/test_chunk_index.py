"""What every chunk index promises: isolation by tenant and kind, replacement, removal, and any text as a query."""

import contextlib
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from databot.rag.base import Chunk, ChunkIndex, Kind
from databot.rag.chroma import ChromaIndex
from databot.rag.hybrid import HybridIndex
from databot.rag.lexical import LexicalIndex
from databot.testing.clock import FakeClock
from tests.rag.kit import HashEmbedder

TENANTS = ("acme", "acme2", "Ünïcode & Söhne'; DROP TABLE x --")
TOPICS = ("invoices", "shipping", "salaries", "weather", "inventory", "holidays")
AWKWARD = [
    "",
    " \n\t ",
    "'",
    '"',
    '"unbalanced',
    "a AND OR NOT NEAR(",
    "title:refund* ^x - + ()",
    "SELECT * FROM t; --",
    "🎉🔥 refund 🎉",
    "退款政策是什么",
    "refund \x00 policy \ud800",
    "%_[]{}\\",
    "refund " * 15_000,
    "x" * 100_000,
]


@pytest.fixture(scope="module")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Chroma server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"
    command = [program, "run", "--host", "127.0.0.1", "--port", str(port)]
    folder = tmp_path_factory.mktemp("chroma-server")
    with subprocess.Popen(
        [*command, "--path", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_up(f"{url}/api/v2/heartbeat", process)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def wait_until_up(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        with contextlib.suppress(URLError, ConnectionError), urlopen(url, timeout=2):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the server ended with {process.wait(0.1)}")
    raise AssertionError("the server did not start")


@pytest.fixture(params=["words", "meaning", "server", "hybrid"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChunkIndex]:
    words = LexicalIndex(tmp_path / "words.db")
    location: Path | str = tmp_path / "chroma"
    space = f"hash-{tmp_path.name}"
    if request.param == "server":
        location = request.getfixturevalue("chroma_server")
    meaning = ChromaIndex(location, HashEmbedder(name=space))
    made: ChunkIndex = {
        "words": words,
        "meaning": meaning,
        "server": meaning,
        "hybrid": HybridIndex(words, meaning, FakeClock(), search_timeout_s=30),
    }[request.param]
    yield made
    for opened in (words, meaning):
        await opened.aclose()


def random_queries() -> list[str]:
    """Telling words in random company, the same in every run."""
    chance = random.Random(7)
    words = [*TOPICS, "handbook", "page", "deal", "tenant", "acme"]
    return [" ".join((chance.choice(TOPICS), *chance.sample(words, 3))) for _ in range(12)]


def make(tenant: str, topic: str, number: int, kind: Kind = "document") -> Chunk:
    name = f"{TENANTS.index(tenant)}-{kind}-{topic}-{number}"
    text = f"The {topic} handbook, page {number}: how we deal with {topic} here."
    return Chunk(id=name, source=f"{topic}.md", title=topic.title(), text=text, kind=kind)


async def ids(index: ChunkIndex, tenant: str, kind: Kind, query: str, top_k: int = 50) -> set[str]:
    return {passage.chunk.id for passage in await index.search(tenant, kind, query, top_k)}


async def test_a_stored_chunk_is_found_whole_with_a_score_between_0_and_1(
    index: ChunkIndex,
) -> None:
    chunks = [make("acme", topic, 1) for topic in TOPICS]
    await index.upsert("acme", "document", chunks)
    passages = await index.search("acme", "document", "how do we deal with salaries", 3)
    assert passages[0].chunk == chunks[TOPICS.index("salaries")]
    assert all(0 <= passage.score <= 1 for passage in passages)
    scores = [passage.score for passage in passages]
    assert scores == sorted(scores, reverse=True)


async def test_a_tenant_and_a_kind_see_only_their_own_chunks(index: ChunkIndex) -> None:
    kinds: tuple[Kind, ...] = ("schema", "document")
    for tenant in TENANTS:
        for kind in kinds:
            chunks = [make(tenant, topic, n, kind) for topic in TOPICS for n in range(5)]
            await index.upsert(tenant, kind, chunks)
    for tenant in TENANTS:
        for kind in kinds:
            for query in random_queries():
                found = await ids(index, tenant, kind, query)
                assert found, (tenant, kind, query)
                assert all(name.startswith(f"{TENANTS.index(tenant)}-{kind}-") for name in found)
    assert await index.sources("nobody", "document") == {}
    assert list(await index.search("nobody", "document", "salaries", 5)) == []


async def test_upsert_replaces_the_chunk_of_the_same_id(index: ChunkIndex) -> None:
    old = Chunk(id="1", source="a.md", title="A", text="Refunds take thirty days.", kind="document")
    new = Chunk(id="1", source="a.md", title="A", text="Shipping is free.", kind="document")
    await index.upsert("acme", "document", [old])
    await index.upsert("acme", "document", [new])
    passages = await index.search("acme", "document", "shipping", 5)
    assert [passage.chunk for passage in passages] == [new]
    assert "1" not in {
        passage.chunk.id
        for passage in await index.search("acme", "document", "refunds thirty days", 5)
        if "Refunds" in passage.chunk.text
    }


async def test_a_batch_that_names_an_id_twice_is_taken(index: ChunkIndex) -> None:
    twice = make("acme", "weather", 1)
    await index.upsert("acme", "document", [twice, twice])
    assert await index.sources("acme", "document") == {"weather.md": frozenset({twice.id})}


async def test_sources_tell_the_ids_of_each_source(index: ChunkIndex) -> None:
    chunks = [make("acme", topic, n) for topic in ("invoices", "weather") for n in range(3)]
    await index.upsert("acme", "document", chunks)
    assert await index.sources("acme", "document") == {
        f"{topic}.md": frozenset(f"0-document-{topic}-{n}" for n in range(3))
        for topic in ("invoices", "weather")
    }
    assert await index.sources("acme", "schema") == {}


async def test_counts_are_of_one_tenant_and_one_kind(index: ChunkIndex) -> None:
    assert await index.count("acme", "document") == 0
    await index.upsert("acme", "document", [make("acme", "weather", n) for n in range(3)])
    await index.upsert("acme", "document", [make("acme", "weather", 0)])
    await index.upsert("acme2", "document", [make("acme2", "weather", 1)])
    assert await index.count("acme", "document") == 3
    assert await index.count("acme2", "document") == 1
    assert await index.count("acme", "schema") == 0
    await index.delete("acme", "document", [make("acme", "weather", 0).id])
    assert await index.count("acme", "document") == 2


async def test_a_deleted_chunk_is_not_found_and_unknown_ids_are_fine(index: ChunkIndex) -> None:
    chunks = [make("acme", "weather", n) for n in range(3)]
    await index.upsert("acme", "document", chunks)
    await index.delete("acme", "document", [chunks[0].id, "never-existed"])
    await index.delete("nobody", "document", ["never-existed"])
    await index.delete("acme", "document", [])
    assert await ids(index, "acme", "document", "weather") == {chunks[1].id, chunks[2].id}


async def test_nothing_stored_finds_nothing(index: ChunkIndex) -> None:
    assert list(await index.search("acme", "document", "anything", 5)) == []
    await index.upsert("acme", "document", [])
    assert list(await index.search("acme", "document", "anything", 5)) == []


async def test_top_k_bounds_the_result(index: ChunkIndex) -> None:
    await index.upsert("acme", "document", [make("acme", "weather", n) for n in range(20)])
    assert len(await index.search("acme", "document", "weather", 7)) == 7


@pytest.mark.parametrize("query", AWKWARD, ids=lambda query: repr(query[:16]))
async def test_any_text_is_a_query(index: ChunkIndex, query: str) -> None:
    await index.upsert("acme", "document", [make("acme", "weather", 1)])
    assert len(await index.search("acme", "document", query, 5)) <= 1


async def test_the_same_query_gives_the_same_passages(index: ChunkIndex) -> None:
    await index.upsert(
        "acme", "document", [make("acme", topic, n) for topic in TOPICS for n in range(4)]
    )
    first = await index.search("acme", "document", "weather handbook", 10)
    assert await index.search("acme", "document", "weather handbook", 10) == first
