"""A small gold set: the table or the page a question is about must be among the first three."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databot.connectors.base import Column, ForeignKey, TableInfo, TableName
from databot.rag.build import RAG, open_rag
from databot.testing.clock import FakeClock
from tests.rag.kit import FixedConnectors, FixedSchema, turn

GOLD = Path(__file__).parent / "gold"
QUESTIONS: list[tuple[str, str]] = [
    (question, source)
    for question, source in json.loads((GOLD / "questions.json").read_text(encoding="utf-8"))
]
SMALL_TALK = [
    "hello",
    "hi there!",
    "thanks, that was great",
    "ok",
    "👍",
    "how are you?",
    "good morning",
]


def gold_schema() -> FixedSchema:
    tables = json.loads((GOLD / "tables.json").read_text(encoding="utf-8"))
    return FixedSchema("shop", [table(name, columns) for name, columns in tables.items()])


def table(name: str, columns: list[str]) -> TableInfo:
    parts = [column.replace(" > ", " ").split() for column in columns]
    return TableInfo(
        table=TableName(schema="", name=name, row_estimate=1234),
        columns=tuple(
            Column(name=part[0], type=part[1], primary_key=part[0] == "id") for part in parts
        ),
        foreign_keys=tuple(
            ForeignKey(columns=(part[0],), to_schema="", to_table=part[2], to_columns=("id",))
            for part in parts
            if len(part) > 2
        ),
    )


@pytest.fixture
async def rag(model_home: Path, tmp_path: Path) -> AsyncIterator[RAG]:
    shutil.copytree(model_home / "models", tmp_path / "models")
    async with open_rag(
        tmp_path,
        sources=[GOLD / "handbook.md"],
        connectors=FixedConnectors(gold_schema()),
        clock=FakeClock(),
    ) as opened:
        report = await opened.sync("acme")
        assert report.problems == ()
        yield opened


async def test_nine_of_ten_questions_find_their_source_among_the_first_three(rag: RAG) -> None:
    missed: list[str] = []
    for question, source in QUESTIONS:
        found = await rag.context.search("acme", question, 3)
        assert not found.note
        sources = [passage.chunk.source for passage in found.passages]
        if source not in sources:
            missed.append(f"{question} -> {sources}, not {source}")
    assert len(missed) <= len(QUESTIONS) // 10, "\n".join(missed)


@pytest.mark.parametrize("remark", SMALL_TALK)
async def test_small_talk_adds_nothing_to_a_prompt(rag: RAG, remark: str) -> None:
    enrichment = await rag.context.enrich_prompt(turn(remark))
    assert (enrichment.text, enrichment.citations, enrichment.notes) == ("", (), ())
