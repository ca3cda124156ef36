"""Any text at all: always a reply, arguments that are JSON, and SQL that is one SELECT."""

import asyncio
import json
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp, parse

from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import SHOP_SCHEMA, insert, shop_rows, sqlite_source

WORDS = [
    "how",
    "many",
    "top",
    "5",
    "customers",
    "orders",
    "by",
    "revenue",
    "per",
    "month",
    "status",
    "cancelled",
    "in",
    "Germany",
    "last",
    "year",
    "not",
    "and",
    "or",
    "between",
    "3",
    "100",
    "average",
    "show",
    "latest",
    "chart",
    "export",
    "csv",
    "tables",
    "describe",
    "the",
    "most",
    "which",
    "country",
    "with",
    "without",
    "no",
    ">",
    "=",
    '"x"',
    "'y'",
    ";",
    "--",
    "select",
    "from",
    "`q`",
    "2024-01-01",
    "what",
    "sum",
    "of",
    "price",
    "products",
    "over",
    "under",
    "sold",
    "never",
    "share",
    "distinct",
    "sorted",
    "descending",
    "is",
    ",",
    "(",
    ")",
    "%",
    "é",
    "日本",
    "😀",
    "only",
    "instead",
    "why",
    "by",
    "each",
    "total",
    "min",
    "max",
    "first",
    "order",
    "items",
    "category",
    "name",
    "null",
    "Q2",
    "2023",
    "today",
    "january",
    "between",
    "until",
]


@pytest.fixture(scope="module")
def connection() -> object:
    from datetime import UTC, datetime

    found = sqlite3.connect(":memory:", check_same_thread=False)
    found.executescript(SHOP_SCHEMA)
    for table, rows in shop_rows(datetime.now(UTC).date()).items():
        insert(found, table, rows)
    yield found
    found.close()


def check(talk: Talk, text: str) -> None:
    answer = asyncio.run(talk.ask(text))
    assert isinstance(answer, str)
    assert answer
    for call in talk.calls:
        arguments = json.loads(call.arguments)
        assert isinstance(arguments, dict)
        if "sql" in arguments:
            statements = parse(arguments["sql"], dialect="sqlite")
            assert len(statements) == 1
            assert isinstance(statements[0], exp.Query)
    assert (
        "did not run" not in answer
        or text.lstrip().lower().startswith(("select", "with", "```"))
        or "```" in text
    )


RELAXED = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@RELAXED
@given(text=st.text(max_size=300))
def test_any_text_gets_a_reply(connection: sqlite3.Connection, text: str) -> None:
    check(Talk(sources=[sqlite_source("shop", connection)]), f"{text}.")


@RELAXED
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
def test_any_mix_of_its_own_words_gives_sql_that_runs(
    connection: sqlite3.Connection, words: list[str]
) -> None:
    check(Talk(sources=[sqlite_source("shop", connection)]), " ".join(words))


@settings(RELAXED, max_examples=30)
@given(
    turns=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=2, max_size=4)
)
def test_any_conversation_goes_on(connection: sqlite3.Connection, turns: list[list[str]]) -> None:
    talk = Talk(sources=[sqlite_source("shop", connection)])
    for words in turns:
        check(talk, " ".join(words))
