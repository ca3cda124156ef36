"""The index folder as several processes use it: one writes at a time, and the others find what it wrote."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databot.rag.base import ChunkIndex, RetrievalError
from databot.rag.chroma import ChromaIndex
from databot.rag.folder import IndexFolder
from databot.rag.lexical import LexicalIndex
from tests.rag.kit import HashEmbedder, chunk

OTHER = """
import asyncio, pathlib, sys
from databot.rag.chroma import ChromaIndex
from databot.rag.folder import IndexFolder
from databot.rag.lexical import LexicalIndex
from tests.rag.kit import HashEmbedder, chunk

async def main(home, doing, *texts):
    folder = IndexFolder(home)
    indexes = (LexicalIndex(home / "words.db"), ChromaIndex(home / "chroma", HashEmbedder(), folder))
    chunks = [chunk(text) for text in texts]
    with folder.writing() as alone:
        assert alone
        for index in indexes:
            if doing == "add":
                await index.upsert("acme", "document", chunks)
            else:
                await index.delete("acme", "document", [each.id for each in chunks])
    for index in indexes:
        await index.aclose()

asyncio.run(main(pathlib.Path(sys.argv[1]), *sys.argv[2:]))
"""


def another_process(home: Path, *arguments: str) -> None:
    """Adds or removes chunks, as `databot rag ingest` beside a running gateway does."""
    subprocess.run(
        [sys.executable, "-c", OTHER, str(home), *arguments],
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "rag"


@pytest.fixture(params=["words", "meaning"])
async def index(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[ChunkIndex]:
    made: dict[str, ChunkIndex] = {
        "words": LexicalIndex(home / "words.db"),
        "meaning": ChromaIndex(home / "chroma", HashEmbedder(), IndexFolder(home)),
    }
    yield made[request.param]
    for opened in made.values():
        await opened.aclose()


async def found(index: ChunkIndex, query: str) -> str:
    """The best match."""
    passages = await index.search("acme", "document", query, 5)
    return passages[0].chunk.text if passages else ""


async def test_what_another_process_indexed_first_is_found(index: ChunkIndex, home: Path) -> None:
    assert await found(index, "zebrafish") == ""
    another_process(home, "add", "The zebrafish metric.")
    assert await found(index, "zebrafish") == "The zebrafish metric."


async def test_what_another_process_added_and_removed_since_is_seen(
    index: ChunkIndex, home: Path
) -> None:
    another_process(home, "add", "The zebrafish metric.", "Refunds take thirty days.")
    assert await found(index, "quokka ratio") != "The quokka ratio."
    another_process(home, "add", "The quokka ratio.")
    assert await found(index, "quokka ratio") == "The quokka ratio."
    another_process(home, "remove", "The quokka ratio.")
    assert await found(index, "quokka ratio") != "The quokka ratio."
    assert await index.count("acme", "document") == 2


async def test_both_processes_may_write_in_turn(index: ChunkIndex, home: Path) -> None:
    another_process(home, "add", "The zebrafish metric.")
    await index.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    another_process(home, "add", "The quokka ratio.")
    await index.upsert("acme", "document", [chunk("Shipping is free.")])
    assert await index.count("acme", "document") == 4
    for text in ("zebrafish metric", "refunds thirty days", "quokka ratio", "shipping free"):
        assert text.split()[0] in (await found(index, text)).lower()


async def test_a_folder_deleted_while_running_is_made_anew(index: ChunkIndex, home: Path) -> None:
    await index.upsert("acme", "document", [chunk("The zebrafish metric.")])
    shutil.rmtree(home)
    assert await found(index, "zebrafish") == ""
    await index.upsert("acme", "document", [chunk("The quokka ratio.")])
    assert await found(index, "quokka") == "The quokka ratio."
    shutil.rmtree(home)
    another_process(home, "add", "Refunds take thirty days.")
    assert await found(index, "refunds") == "Refunds take thirty days."


def test_only_one_may_write_at_a_time(home: Path) -> None:
    with IndexFolder(home).writing() as first:
        assert first
        with IndexFolder(home).writing() as second:
            assert not second
    with IndexFolder(home).writing() as again:
        assert again


def test_the_others_learn_of_a_writing_and_the_writer_does_not_wonder(home: Path) -> None:
    mine, other = IndexFolder(home), IndexFolder(home)
    assert not other.changed()
    with mine.writing():
        assert not other.changed()
    assert other.changed()
    assert not mine.changed()
    other.catch_up()
    assert not other.changed()


def test_one_who_may_not_write_tells_nobody_of_a_writing(home: Path) -> None:
    mine, other = IndexFolder(home), IndexFolder(home)
    with mine.writing(), other.writing():
        pass
    mine.catch_up()
    with mine.writing(), other.writing():
        assert not mine.changed()


def test_a_folder_that_cannot_be_made_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "rag").write_text("a file", encoding="utf-8")
    with (
        pytest.raises(RetrievalError, match=f"{tmp_path}/rag"),
        IndexFolder(tmp_path / "rag").writing(),
    ):
        pass
