"""What the vector index does beyond its contract: degrading clearly, and never reaching Chroma's own embedding."""

import asyncio
from pathlib import Path

import pytest

from databot.rag.base import RetrievalError
from databot.rag.chroma import ChromaIndex, collection_name
from databot.types.errors import describe
from tests.rag.kit import WAIT_S, HashEmbedder, chunk


async def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    first = ChromaIndex(tmp_path / "chroma", HashEmbedder())
    await first.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    await first.aclose()
    second = ChromaIndex(tmp_path / "chroma", HashEmbedder())
    (passage,) = await second.search("acme", "document", "refunds", 3)
    assert passage.chunk == chunk("Refunds take thirty days.")
    await second.aclose()


async def test_vectors_of_different_embedders_never_meet(tmp_path: Path) -> None:
    one = ChromaIndex(tmp_path / "chroma", HashEmbedder(name="one", dimensions=8))
    await one.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    await one.aclose()
    two = ChromaIndex(tmp_path / "chroma", HashEmbedder(name="two", dimensions=16))
    assert await two.search("acme", "document", "refunds", 3) == []
    await two.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    assert len(await two.search("acme", "document", "refunds", 3)) == 1
    await two.aclose()


async def test_vectors_of_another_length_are_a_clear_error_and_the_index_goes_on(
    tmp_path: Path,
) -> None:
    index = ChromaIndex(tmp_path / "chroma", HashEmbedder(dimensions=8))
    await index.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    await index.aclose()
    changed = ChromaIndex(tmp_path / "chroma", HashEmbedder(dimensions=16))
    for _ in range(2):
        with pytest.raises(RetrievalError, match="dimension"):
            await changed.search("acme", "document", "refunds", 3)
    assert len(await changed.sources("acme", "document")) == 1
    await changed.aclose()


async def test_a_damaged_directory_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "chroma"
    folder.mkdir()
    (folder / "chroma.sqlite3").write_bytes(b"this is no database at all" * 1000)
    index = ChromaIndex(folder, HashEmbedder())
    with pytest.raises(RetrievalError) as caught:
        await index.search("acme", "document", "refunds", 3)
    assert str(folder) in describe(caught.value)
    assert "delete the folder" in describe(caught.value)
    await index.aclose()


async def test_an_embedder_that_fails_fails_the_call_and_nothing_else(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    index = ChromaIndex(tmp_path / "chroma", embedder)
    embedder.broken = RetrievalError("no vectors today")
    with pytest.raises(RetrievalError, match="no vectors today"):
        await index.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    embedder.broken = None
    await index.upsert("acme", "document", [chunk("Refunds take thirty days.")])
    assert len(await index.search("acme", "document", "refunds", 3)) == 1
    await index.aclose()


async def test_a_server_that_is_not_there_is_an_error_without_the_credentials() -> None:
    index = ChromaIndex("http://user:secret@127.0.0.1:9", HashEmbedder(), timeout_s=WAIT_S)
    with pytest.raises(RetrievalError) as caught:
        await index.search("acme", "document", "refunds", 3)
    line = describe(caught.value)
    assert "127.0.0.1:9" in line
    assert "server is up" in line
    assert "secret" not in line
    await index.aclose()


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    gone: list[asyncio.StreamWriter] = []

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone.append(writer)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    index = ChromaIndex(f"http://127.0.0.1:{port}", HashEmbedder(), timeout_s=0.5)
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(RetrievalError, match="no answer within"):
            await index.search("acme", "document", "refunds", 3)
    for writer in gone:
        writer.close()
    server.close()
    await server.wait_closed()
    await index.aclose()


async def test_a_foreign_env_file_in_the_current_directory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("IS_PERSISTENT=maybe", "CHROMA_SERVER_HTTP_PORT=not-a-number", "ALLOW_RESET=perhaps")
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    index = ChromaIndex(tmp_path / "chroma", HashEmbedder())
    assert await index.sources("acme", "document") == {}
    await index.aclose()


def test_collections_have_names_chroma_takes_whatever_the_tenant() -> None:
    names = {
        collection_name(t, "schema", "space") for t in ("a", "A", "a b", "ü" * 500, "", "../x")
    }
    assert len(names) == 6
    assert all(len(name) <= 60 and name.replace("-", "").isalnum() for name in names)
