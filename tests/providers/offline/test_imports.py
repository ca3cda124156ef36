"""Imported files: tables without a key and with nothing but text in them."""

from collections.abc import Iterator

import pytest

from databot.providers.offline.prose import NOTHING
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


async def test_text_that_holds_only_numbers_is_added_up_and_that_is_told(imported: Source) -> None:
    talk = Talk(sources=[imported])
    answer = await talk.ask("total sales by region")
    assert table(answer) == [["North", "1,377.18"], ["East", "558.08"], ["South", NOTHING]]
    assert "sales.Sales is text that holds only numbers" in answer
    assert "The highest unit price is **100.00**" in await talk.ask("max unit price")


async def test_text_that_holds_a_word_too_is_no_number(imported: Source) -> None:
    answer = await Talk(sources=[imported]).ask("sum of remark")
    assert "it holds no numbers" in answer
    assert "**" not in answer


async def test_dates_kept_as_text_are_times(imported: Source) -> None:
    answer = await Talk(sources=[imported]).ask("number of rows in sales per month")
    assert column(answer, 0) == ["2025-09", "2026-10", "2026-11"]
