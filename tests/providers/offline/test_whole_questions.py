"""Every word of a question counts: what was read is used, or the question is refused; nothing is dropped silently."""

from collections.abc import Iterator

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.schemas import DESK_ROWS, DESK_SCHEMA, WARD_ROWS, WARD_SCHEMA, made
from tests.providers.offline.world import Source, Talk


@pytest.fixture
def desk() -> Iterator[Source]:
    with made(DESK_SCHEMA, DESK_ROWS) as source:
        yield source


@pytest.fixture
def ward() -> Iterator[Source]:
    with made(WARD_SCHEMA, WARD_ROWS) as source:
        yield source


@pytest.mark.parametrize(
    "question", ["min and max list price", "lowest and highest list price", "min & max list price"]
)
async def test_two_functions_give_two_figures(desk: Source, question: str) -> None:
    answer = await Talk(sources=[desk]).ask(question)
    assert "lowest list price is **2.50**" in answer
    assert "highest list price is **9.50**" in answer


async def test_two_functions_give_two_columns_of_a_table(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("min and max list price per category")
    assert table(answer) == [["ware", "4.00", "9.50"], ["food", "2.50", "2.50"]]


async def test_a_state_behind_the_columns_name_is_a_value_of_it(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("tickets with status shipped or pending")
    assert column(answer, 0) == ["2", "3", "5"]


async def test_a_count_is_averaged_over_what_it_is_counted_for(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("avg items per ticket")
    assert figure(answer) == "1.33"
    assert "each ticket with at least one" in answer


async def test_counts_are_averaged_over_time(desk: Source) -> None:
    assert figure(await Talk(sources=[desk]).ask("average number of tickets per year")) == "2.50"


async def test_a_ranking_word_at_the_end_limits_the_groups(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("how many tickets per agent top 1")
    assert answer.startswith("**Bo** has the highest number of tickets: **3**")
    assert "revenue" not in answer


async def test_what_is_done_is_a_state_where_it_is_no_value(desk: Source) -> None:
    talk = Talk(sources=[desk])
    assert figure(await talk.ask("how many tickets are not closed")) == "2"
    answer = await talk.ask("which agents closed the most tickets")
    assert answer.startswith("**Bo** has the highest number of tickets")
    assert column(answer, 1) == ["2", "1"]


async def test_none_of_them_cannot_be_shown(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("top 0 goods")
    assert answer.startswith("I cannot show none of them")


async def test_numbers_are_alternatives(desk: Source) -> None:
    assert figure(await Talk(sources=[desk]).ask("how many tickets with quality 0 or 2")) == "3"


async def test_a_version_is_a_value(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("tickets with firmware 2.0.0-rc1")
    assert column(answer, 0) == ["2"]


async def test_what_follows_a_question_not_understood_follows_nothing(desk: Source) -> None:
    talk = Talk(sources=[desk])
    assert figure(await talk.ask("how many tickets")) == "5"
    assert "I find no “frobs”" in await talk.ask("how many frobs")
    assert "**" not in await talk.ask("and by status?")


@pytest.mark.parametrize(
    "question",
    [
        "max firmware",
        "tickets per month and year",
        "how many tickets and agents",
        "tickets and value by status",
        "highest number of tickets",
        "average status of tickets",
        "tickets by",
        "count of tickets and average quality by status",
        "top 2 agents per status",
        "agents without lost tickets",
        "how many tickets opened in 2025 and closed",
    ],
)
async def test_what_would_be_dropped_is_refused(desk: Source, question: str) -> None:
    answer = await Talk(sources=[desk]).ask(question)
    assert "Questions I can answer here" in answer
    assert "**" not in answer


async def test_time_kept_as_text_is_time_by_its_values(ward: Source) -> None:
    answer = await Talk(sources=[ward]).ask("vst hdr per month")
    assert column(answer, 0) == ["2025-01", "2025-03", "2026-01", "2026-02"]


async def test_time_is_never_the_birthday_of_a_parent(ward: Source) -> None:
    talk = Talk(sources=[ward])
    assert figure(await talk.ask("sum of tot_chrg_amt in 2025")) == "350.50"
    answer = await talk.ask("and by month?")
    assert table(answer) == [["2025-01", "100.00"], ["2025-03", "250.50"]]
    assert "time is TBL_VST_HDR.ADM_DTTM" in answer


async def test_seconds_since_1970_are_times(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("qty per month")
    assert table(answer) == [["2025-01", "9"], ["2026-01", "7"]]
    assert "counts seconds since 1970" in answer


async def test_a_column_called_year_is_the_year(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("qty by year")
    assert table(answer) == [["2031", "12"], ["2030", "4"]]
    assert "year is the column pulses.year" in answer


async def test_a_join_by_name_is_told_where_that_table_declares_no_key(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("qty by agent")
    assert table(answer) == [["Ann", "9"], ["Bo", "7"]]
    assert "joined by name (pulses.agent_id = agents.id)" in answer


async def test_what_is_called_value_is_not_money(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("total value")
    assert figure(answer) == "18.00"
    assert "revenue" not in answer


ANSWERED = [
    ("2025 tickets per month", [["2025-01", "1"], ["2025-02", "2"]]),
    ("how many tickets in 2025 and 2026", [["2025", "3"], ["2026", "2"]]),
    ("tickets per weekday", [["3 Wednesday", "1"], ["5 Friday", "1"], ["6 Saturday", "2"], ["7 Sunday", "1"]]),
    ("lost vs pending tickets", [["lost", "1"], ["pending", "1"]]),
]  # fmt: skip


@pytest.mark.parametrize(("question", "rows"), ANSWERED, ids=[q for q, _ in ANSWERED])
async def test_an_obvious_reading_is_answered(
    desk: Source, question: str, rows: list[list[str]]
) -> None:
    assert table(await Talk(sources=[desk]).ask(question)) == rows


FOUND = [
    ("tickets where status is not shipped", ["1", "4", "5"]),
    ("first ticket ever", ["1"]),
    ("agents with 3 tickets", ["2"]),
    ("agents with more than 2 tickets", ["2"]),
    ("agents with fewer than 2 tickets", ["3"]),
    ("agents with at least 2 tickets", ["1", "2"]),
    ("agent 3", ["3"]),
    ("top 100000 goods by list price", ["2", "1", "3"]),
    ("goods over 4 euros", ["2"]),
]


@pytest.mark.parametrize(("question", "keys"), FOUND, ids=[q for q, _ in FOUND])
async def test_the_rows_found_are_those_meant(desk: Source, question: str, keys: list[str]) -> None:
    assert column(await Talk(sources=[desk]).ask(question), 0) == keys


@pytest.mark.parametrize("question", ["wat tables r in here", "explain the tables"])
async def test_the_tables_are_shown_in_whatever_words(desk: Source, question: str) -> None:
    assert "lib (sqlite) has **5** tables" in await Talk(sources=[desk]).ask(question)


async def test_a_state_named_beside_another_is_kept(desk: Source) -> None:
    talk = Talk(sources=[desk])
    assert figure(await talk.ask("how many tickets were shipped but not lost")) == "2"
    assert "status is “shipped”" in await talk.ask("how many tickets were shipped but not lost")


async def test_a_value_is_not_taken_for_a_name_cut_short(desk: Source) -> None:
    """A name begins with the word "open" too: `opened_at`."""
    answer = await Talk(sources=[desk]).ask("how many open tickets with firmw 1.0.2")
    assert figure(answer) == "1"
    assert "status is “open”" in answer
    assert "I read “firmw” as firmware" in answer


async def test_the_latest_of_what_was_done_are_those(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("last 2 tickets that were closed")
    assert column(answer, 0) == ["4", "3"]


async def test_a_state_behind_its_column_is_a_value_beside_other_filters(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask(
        "how many tickets where status is shipped and firmware is 1.0.2"
    )
    assert figure(answer) == "1"


async def test_what_is_left_out_of_a_sum_is_a_filter(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("total unit price without pending tickets")
    assert figure(answer) == "14.00"


async def test_a_second_group_may_follow_a_stretch_of_time(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("tickets by year and status")
    assert ["2025", "shipped", "2"] in table(answer)
    assert len(table(answer)) == 4


async def test_one_is_a_number_where_it_is_compared_with(desk: Source) -> None:
    answer = await Talk(sources=[desk]).ask("agents with at least one ticket")
    assert column(answer, 0) == ["1", "2"]
