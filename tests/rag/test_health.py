"""How retrieval says how it is: bounded, cheap, and out of the searches' way."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from databot.rag import build
from databot.rag.base import ChunkIndex
from databot.rag.build import open_rag
from databot.rag.chroma import ChromaIndex
from databot.rag.fts import FullTextFile
from databot.rag.lexical import LexicalIndex
from databot.testing.clock import FakeClock
from tests.rag.kit import WAIT_S, HashEmbedder, chunk


@asynccontextmanager
async def silent_server() -> AsyncGenerator[str]:
    """Takes connections and never says a word."""
    open_ones: list[asyncio.StreamWriter] = []

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for writer in open_ones:
        writer.close()
    server.close()
    await server.wait_closed()


def counts_hang(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes every count wait for the event."""
    from chromadb.api.models.Collection import Collection

    gate = threading.Event()
    for kind in (FullTextFile, Collection):
        monkeypatch.setattr(kind, "count", after(gate, kind.count))
    return gate


def after(gate: threading.Event, count: Callable[..., int]) -> Callable[..., int]:
    def late(*arguments: object) -> int:
        gate.wait(WAIT_S)
        return count(*arguments)

    return late


@pytest.mark.parametrize("kind", ["words", "meaning"])
async def test_searches_are_answered_while_a_look_takes_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    index: ChunkIndex = (
        LexicalIndex(tmp_path / "words.db")
        if kind == "words"
        else ChromaIndex(tmp_path / "chroma", HashEmbedder())
    )
    await index.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    gate = counts_hang(monkeypatch)
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        looks = [group.create_task(index.count("acme", "document")) for _ in range(5)]
        for _ in range(5):
            assert await index.search("acme", "document", "refunds", 3)
        assert not any(look.done() for look in looks)
        gate.set()
    assert {look.result() for look in looks} == {1}
    await index.aclose()


async def test_a_look_counts_and_never_lists_what_is_stored(
    model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").symlink_to(model_home / "models")
    async with open_rag(tmp_path, clock=FakeClock()) as rag:
        await rag.sync("acme")
        for part in rag.index.parts:
            await part.upsert("acme", "document", [chunk("one"), chunk("two")])

        async def refused(*_: object) -> None:
            raise AssertionError("the whole list was asked for")

        for kind in (LexicalIndex, ChromaIndex):
            monkeypatch.setattr(kind, "sources", refused)
        _, words, meaning = await rag.status("acme")
        assert words.detail == meaning.detail == "0 schema chunks, 2 document chunks"


async def test_a_server_that_hangs_holds_up_neither_the_look_nor_the_next_one(
    model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").symlink_to(model_home / "models")
    monkeypatch.setattr(build, "LOOK_S", 0.2)
    async with silent_server() as url, open_rag(tmp_path, chroma_url=url, clock=FakeClock()) as rag:
        await rag.gate.prepare()
        async with asyncio.timeout(WAIT_S):
            for _ in range(2):
                embedding, words, meaning = await rag.status("acme")
                assert (embedding.state, words.state) == ("ok", "ok")
                assert meaning.state == "down"
                assert "no answer within 0.2 s" in meaning.detail


async def test_an_index_folder_that_is_a_file_is_a_problem_of_the_sync(tmp_path: Path) -> None:
    (tmp_path / "rag").write_text("a file", encoding="utf-8")
    async with open_rag(tmp_path, clock=FakeClock()) as rag:
        report = await rag.sync("acme")
        assert report.problem_count == 1
        assert f"{tmp_path}/rag" in report.problems[0]
        _, words, _ = await rag.status("acme")
        assert words.state == "down"
        assert not rag.progress("acme").running
