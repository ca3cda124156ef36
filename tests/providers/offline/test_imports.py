"""Imported files: tables without a key and with nothing but text in them."""

from collections.abc import Iterator

import pytest

from tests.providers.offline.reading import column, table
from tests.providers.offline.schemas import CSV_ROWS, CSV_SCHEMA, made
from tests.providers.offline.world import Source, Talk


@pytest.fixture
def imported() -> Iterator[Source]:
    with made(CSV_SCHEMA, CSV_ROWS) as source:
        yield source


async def test_rows_of_a_table_without_a_key_are_shown(imported: Source) -> None:
    answer = await Talk(sources=[imported]).ask("rows where region is north")
    assert column(answer, 0) == ["A-2", "A-3"]


async def test_rows_of_a_month_are_shown_without_a_key(imported: Source) -> None:
    answer = await Talk(sources=[imported]).ask("sales in October 2026")
    assert len(table(answer)) == 2
