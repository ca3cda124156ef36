"""Two rankings as one, and what is served when one of them is missing."""

from pathlib import Path

import pytest

from databot.rag.base import Passage, RetrievalError
from databot.rag.hybrid import REST_S, HybridIndex, fuse
from databot.rag.lexical import LexicalIndex
from databot.testing.clock import FakeClock
from tests.rag.kit import BrokenIndex, chunk

A, B, C = (chunk(text) for text in ("alpha", "beta", "gamma"))


def ranking(*pairs: tuple[object, float]) -> list[Passage]:
    return [Passage(chunk=item, score=score) for item, score in pairs]  # type: ignore[arg-type] - pairs of chunks


def test_what_leads_both_rankings_keeps_its_best_score() -> None:
    fused = fuse([ranking((A, 0.9), (B, 0.5)), ranking((A, 0.4), (C, 0.3))])
    assert fused[0].chunk == A
    assert fused[0].score == pytest.approx(0.9)
    assert {passage.chunk.id for passage in fused} == {A.id, B.id, C.id}


def test_a_match_in_both_beats_an_equal_match_in_one() -> None:
    fused = fuse([ranking((A, 0.5), (B, 0.5)), ranking((B, 0.5))])
    assert [passage.chunk for passage in fused] == [B, A]


def test_the_best_of_bad_matches_still_scores_low() -> None:
    (passage,) = fuse([ranking((A, 0.05)), []])
    assert passage.score < 0.05


def test_a_single_ranking_keeps_its_order_and_nothing_gives_nothing() -> None:
    assert [p.chunk for p in fuse([ranking((B, 0.9), (A, 0.8), (C, 0.7))])] == [B, A, C]
    assert fuse([[], []]) == ()


async def test_when_meaning_fails_words_serve_and_say_so(tmp_path: Path) -> None:
    words = LexicalIndex(tmp_path / "words.db")
    await words.upsert("acme", "document", [A])
    index = HybridIndex(words, BrokenIndex(RetrievalError("no weights")), FakeClock())
    found = await index.find("acme", "document", "alpha", 3)
    assert [passage.chunk for passage in found.passages] == [A]
    assert found.note == "passages were found by their words only: no weights"
    assert (await index.find("acme", "document", "unrelated", 3)).note == ""
    await index.aclose()


async def test_when_words_fail_meaning_serves_and_says_so(tmp_path: Path) -> None:
    meaning = LexicalIndex(tmp_path / "words.db")
    await meaning.upsert("acme", "document", [A])
    index = HybridIndex(BrokenIndex(RetrievalError("file gone")), meaning, FakeClock())
    found = await index.find("acme", "document", "alpha", 3)
    assert found.note == "passages were found by their meaning only: file gone"
    await index.aclose()


async def test_when_both_fail_the_error_names_both() -> None:
    index = HybridIndex(
        BrokenIndex(RetrievalError("file gone")),
        BrokenIndex(RetrievalError("no weights")),
        FakeClock(),
    )
    with pytest.raises(RetrievalError, match="file gone; no weights"):
        await index.find("acme", "document", "alpha", 3)


async def test_an_index_that_hangs_is_left_alone_for_a_while(tmp_path: Path) -> None:
    words, clock = LexicalIndex(tmp_path / "words.db"), FakeClock()
    await words.upsert("acme", "document", [A])
    hanging = BrokenIndex()
    index = HybridIndex(words, hanging, clock, search_timeout_s=0.5)
    first = await index.find("acme", "document", "alpha", 3)
    assert "no answer within 0.5 s" in first.note
    second = await index.find("acme", "document", "alpha", 3)
    assert "left alone" in second.note
    assert hanging.calls == 1
    clock.advance(REST_S + 1)
    await index.find("acme", "document", "alpha", 3)
    assert hanging.calls == 2
    await index.aclose()
