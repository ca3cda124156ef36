"""Cutting documents: in good places, small enough, nothing lost, the same every time."""

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.rag.base import Document
from databot.rag.chunking import TARGET_TOKENS, chunk_document, estimate_tokens
from databot.rag.markdown import blocks
from tests.rag.kit import document

GUIDE = """# Guide

Intro line.

## Install

Run this:

```bash
pip install something
# not a heading
```

### On Windows

Use the installer.

Usage
-----

| option | means |
|---|---|
| a | first |
| b | second |
"""


def chunks(text: str, *, title: str = "Guide") -> list[tuple[str, str]]:
    made = chunk_document(Document(source="guide.md", title=title, text=text, kind="document"))
    return [(chunk.title, chunk.text) for chunk in made]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def test_a_chunk_carries_its_headings_and_keeps_code_and_tables_whole() -> None:
    assert chunks(GUIDE) == [
        ("Guide", "Intro line."),
        (
            "Guide > Install",
            "Run this:\n\n```bash\npip install something\n# not a heading\n```",
        ),
        ("Guide > Install > On Windows", "Use the installer."),
        ("Guide > Usage", "| option | means |\n|---|---|\n| a | first |\n| b | second |"),
    ]


def test_long_code_is_cut_between_lines_inside_its_fence() -> None:
    lines = [f"SELECT column_{n} FROM some_table WHERE id = {n};" for n in range(60)]
    made = chunks("```sql\n" + "\n".join(lines) + "\n```")
    assert len(made) > 1
    for _, text in made:
        assert text.startswith("```sql\n")
        assert text.endswith("\n```")
    inside = [line for _, text in made for line in text.split("\n")[1:-1]]
    assert inside == lines


def test_a_long_table_repeats_its_head() -> None:
    rows = [f"| key {n} | what key number {n} means in detail |" for n in range(80)]
    made = chunks("\n".join(("| key | meaning |", "|---|---|", *rows)))
    assert len(made) > 1
    assert all(text.startswith("| key | meaning |\n|---|---|\n") for _, text in made)
    assert [row for _, text in made for row in text.split("\n")[2:]] == rows


def test_a_table_that_is_one_endless_line_is_not_lost() -> None:
    words = [f"cell{number}" for number in range(2_000)]
    chunks = chunk_document(document("a.md", f"| {' | '.join(words)} |"))
    assert [word for chunk in chunks for word in re.findall(r"cell\d+", chunk.text)] == words


@pytest.mark.parametrize(
    ("line", "text"), [("# C#", "C#"), ("## A ##", "A"), ("# a # b  ", "a # b"), ("# ", "")]
)
def test_hashes_that_end_a_heading_are_no_part_of_it(line: str, text: str) -> None:
    (heading,) = blocks(line)
    assert (heading.kind, heading.text) == ("heading", text)


def test_a_fence_that_is_never_closed_ends_with_the_text() -> None:
    (block,) = list(blocks("~~~\na\n\n# b"))
    assert block.kind == "code"
    assert block.lines == ("~~~", "a", "", "# b")


def test_prose_is_cut_between_sentences_with_a_little_said_twice() -> None:
    sentences = [f"Rule number {n} says that the value of item {n} is final." for n in range(60)]
    made = [text for _, text in chunks(" ".join(sentences))]
    assert len(made) > 2
    for text in made:
        assert text.endswith("final.")
        assert text.startswith("Rule number")
    assert words(" ".join(made)) == words(" ".join(sentences))
    assert made[1].split("\n\n")[0] in made[0]


@pytest.mark.parametrize(
    "text",
    ["".join(f"{n:x}g" for n in range(20_000)), "".join(chr(0x4E00 + n) for n in range(9_000))],
)
def test_a_word_without_end_and_a_language_without_spaces_are_cut_too(text: str) -> None:
    made = [piece for _, piece in chunks(text)]
    assert "".join("".join(made).split()) == text
    assert max(len(piece) for piece in made) <= 1_700


@pytest.mark.parametrize("text", ["", "   \n\n\t\n", "\x00\x01"])
def test_a_document_without_text_gives_nothing(text: str) -> None:
    assert chunks(text) == []


def test_a_document_of_headings_alone_is_still_found() -> None:
    assert chunks("# Plan\n\n## Later") == [("Guide", "Plan\n\nLater")]


def test_ids_change_with_the_text_and_only_with_the_text() -> None:
    one = chunk_document(document("a.md", "First.\n\n# Two\n\nSecond."))
    again = chunk_document(document("a.md", "First.\n\n# Two\n\nSecond, changed."))
    elsewhere = chunk_document(document("b.md", "First.\n\n# Two\n\nSecond."))
    assert one[0].id == again[0].id
    assert one[1].id != again[1].id
    assert {chunk.id for chunk in one}.isdisjoint(chunk.id for chunk in elsewhere)


def test_a_paragraph_said_twice_is_kept_once() -> None:
    assert len(chunks("# A\n\nSame.\n\n# A\n\nSame.")) == 1


@given(st.text(max_size=4_000))
def test_any_text_gives_small_storable_chunks_that_are_the_same_each_time(text: str) -> None:
    made = chunk_document(document("any.md", text))
    assert made == chunk_document(document("any.md", text))
    for chunk in made:
        assert estimate_tokens(chunk.text) <= TARGET_TOKENS * 2
        chunk.text.encode()
        assert "\x00" not in chunk.text
    assert len({chunk.id for chunk in made}) == len(made)


@given(st.lists(st.text(alphabet="abc #|`-=.\n", max_size=300), max_size=20))
def test_no_word_of_a_markdown_text_is_lost(parts: list[str]) -> None:
    text = "\n".join(parts)
    made = chunk_document(document("any.md", text))
    kept = words(" ".join(f"{chunk.title} {chunk.text}" for chunk in made))
    lost = {word for word in words(text) - kept if len(word) < 100}
    headings = {
        word for block in blocks(text) if block.kind == "heading" for word in words(block.text)
    }
    assert lost <= headings


@pytest.mark.parametrize(
    "text",
    [
        "# a" + " " * 200_000 + "b",
        "# a" + " #" * 100_000 + "b",
        "```\n" * 100_000,
        "a\n=\n" * 100_000,
        "|\n\n" * 100_000,
        "x" * 500_000,
        ". " * 250_000,
    ],
    ids=[
        "spaces in a heading",
        "hashes in a heading",
        "fences",
        "headings",
        "tables",
        "one",
        "dots",
    ],
)
def test_no_text_holds_the_process_up(text: str) -> None:
    """In a process of its own: one that hangs in a regular expression hears nothing."""
    script = (
        "import sys\n"
        "from databot.rag.base import Document\n"
        "from databot.rag.chunking import chunk_document\n"
        "text = sys.stdin.read()\n"
        "chunk_document(Document(source='a', title='A', text=text, kind='document'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=text,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
