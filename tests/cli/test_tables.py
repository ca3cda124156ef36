"""Tables on terminals of any width: no word, date or name is ever cut."""

import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from databot.cli.output import wrapped
from databot.cli.tables import Answer, list_table

ANSWER = """| id | status | ordered at | revenue |
|---:|---|---|---:|
| 4967 | completed | 2026-11-20 | 1,234,567.89 |
| 4968 | processing | 2026-11-21 | 10.00 |"""
SESSIONS = [
    ["1", "cli-20261120-125757-2c0b", "2026-11-20 12:58", "how many orders in Germany"],
    ["2", "s_01a1f902631dc7e741e6655f24fe", "2026-11-20 12:50", "latest orders"],
]
NAMES = ["n", "session", "last used", "began with"]


def drawn(what: object, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_word_of_an_answers_table_is_cut(width: int) -> None:
    told = drawn(Answer(ANSWER), width)
    assert all(len(line) <= width for line in told.splitlines())
    for word in ANSWER.replace("|", " ").split():
        if not re.fullmatch(r"[-:]+", word):
            assert word in told.split() or f"{word}:" in told.split(), word
    assert "…" not in told


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_names_in_a_list_are_whole(width: int) -> None:
    rows = [[Text(item) for item in row] for row in SESSIONS]
    right = [True, False, False, False]
    told = drawn(list_table([Text(name) for name in NAMES], rows, right=right, title="Past"), width)
    for row in SESSIONS:
        for word in " ".join(row).split():
            assert word in told.split(), word


CELLS = st.lists(
    st.text("abcdefgh0123456789-", min_size=1, max_size=12), min_size=1, max_size=5
).map(" ".join)


@given(
    st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=4), st.integers(20, 120)
)
def test_no_word_of_any_list_is_cut(rows: list[list[str]], width: int) -> None:
    texts = [[Text(item) for item in row] for row in rows]
    told = drawn(
        list_table([Text(name) for name in NAMES], texts, right=[False] * 4, title=""), width
    )
    assert {word for row in rows for item in row for word in item.split()} <= set(told.split())


def test_where_a_table_does_not_fit_each_row_is_told_line_by_line() -> None:
    assert drawn(Answer(ANSWER), 30).strip().splitlines()[:4] == [
        "id: 4967",
        "status: completed",
        "ordered at: 2026-11-20",
        "revenue: 1,234,567.89",
    ]


def test_an_answer_with_an_empty_table_is_drawn() -> None:
    assert "nothing" in drawn(Answer("| nothing |\n|---|"), 40)


def test_a_remark_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "databot: no key is set\na-very-long-word-that-stays-whole here"
    assert wrapped(text).splitlines() == [
        "databot: no key is",
        "set",
        "a-very-long-word-that-stays-whole",
        "here",
    ]
