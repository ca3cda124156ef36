"""What the word index does beyond its contract."""

from dataclasses import replace
from pathlib import Path

import pytest

from databot.rag.base import Chunk, RetrievalError
from databot.rag.fts import COUNT_LIMIT, table_name
from databot.rag.lexical import LexicalIndex
from databot.types.errors import describe
from tests.rag.kit import chunk


async def found(index: LexicalIndex, query: str) -> list[str]:
    return [p.chunk.text for p in await index.search("acme", "document", query, 5)]


async def test_word_forms_accents_and_underscores_do_not_hide_a_match(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words.db")
    texts = ["Customers cancelled order_items.", "Die Größe des Cafés."]
    await index.upsert("acme", "document", [chunk(text) for text in texts])
    assert await found(index, "cancelling an order item") == [texts[0]]
    assert await found(index, "cafe") == [texts[1]]
    await index.aclose()


async def test_the_chunk_with_more_of_the_telling_words_comes_first(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words.db")
    both = chunk("Refunds for gift cards need a manager.")
    await index.upsert(
        "acme",
        "document",
        [chunk(f"Gift idea {n}: gift, gift, gift.") for n in range(8)] + [both],
    )
    passages = await index.search("acme", "document", "refund of a gift card", 3)
    assert passages[0].chunk == both
    assert passages[0].score > 0.9 > passages[1].score
    await index.aclose()


async def test_a_greeting_finds_nothing_even_where_it_is_written(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words.db")
    await index.upsert("acme", "document", [chunk("Hello and thanks: a good morning to you.")])
    assert await found(index, "Hello, good morning and thanks!") == []
    await index.aclose()


async def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    for text in ("first run", "second run"):
        index = LexicalIndex(tmp_path / "deep" / "words.db")
        await index.upsert("acme", "document", [chunk(text)])
        await index.aclose()
    index = LexicalIndex(tmp_path / "deep" / "words.db")
    assert set(await found(index, "run")) == {"first run", "second run"}
    await index.aclose()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["words.db"]


async def test_a_word_of_very_many_chunks_weighs_as_little_as_it_tells(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words.db")
    many = [chunk(f"report number {n}") for n in range(COUNT_LIMIT + 5)]
    rare = chunk("refunds: the report of a manager")
    await index.upsert("acme", "document", [*many, rare])
    passages = await index.search("acme", "document", "report about refunds", 3)
    assert passages[0].chunk == rare
    assert passages[0].score > 0.9 > passages[1].score
    assert (await found(index, "report"))[0].startswith("report number")
    await index.aclose()


async def test_a_batch_that_cannot_be_written_leaves_nothing_of_itself(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words.db")
    await index.upsert("acme", "document", [chunk("kept for good")])
    with pytest.raises(RetrievalError, match="surrogates"):
        await index.upsert("acme", "document", [chunk("half a batch"), broken_chunk()])
    assert await found(index, "half a batch") == []
    await index.upsert("acme", "document", [chunk("the next batch")])
    assert set(await found(index, "kept batch")) == {"kept for good", "the next batch"}
    await index.aclose()


def broken_chunk() -> Chunk:
    """Half a character, which no database can write; chunking lets none through."""
    return replace(chunk("x"), text="half \ud800 a character")


async def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    path.write_bytes(b"this is no database at all" * 100)
    index = LexicalIndex(path)
    with pytest.raises(RetrievalError) as caught:
        await index.search("acme", "document", "x", 1)
    assert str(path) in describe(caught.value)
    assert "delete it" in describe(caught.value)
    await index.aclose()


async def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    index = LexicalIndex(tmp_path / "file" / "words.db")
    with pytest.raises(RetrievalError, match="word index"):
        await index.sources("acme", "document")
    await index.aclose()


def test_tenants_never_share_a_table_and_names_are_safe() -> None:
    names = {
        table_name(tenant, kind)
        for tenant in ("a", "A", "a b", "'; DROP TABLE x --", "", "\ud800")
        for kind in ("schema", "document")
    }
    assert len(names) == 12
    assert all(name.replace("_", "").isalnum() for name in names)
