"""Near questions: what sounds like something it can answer and is something else must not be answered as that."""

from collections import Counter

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.test_shop import lines_of, money, orders_of, today, totals
from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import World

NEAR = [
    ("orders not in 2025", "“not”"),
    ("orders in 2023 and 2025", "one period at a time"),
    ("orders in January and February 2025", "one period at a time"),
    ("orders cancelled or from Germany", "between values of one column"),
    ("share of revenue by country", "shares of rows"),
    ("orders by revenue", "cannot group by “revenue”"),
    ("latest orders by customer", "cannot put that together"),
    ("how many products are sold", "“sold”"),
    ("highest number of orders", "averages or extremes of counts"),
    ("how many customers in Germany and how many orders", "one thing at a time"),
    ("what is the price of the most expensive", "what is to be ranked"),
    ("average revenue per customer", "“revenue”"),
    ("how many customers with orders last month", "which of the two the time is about"),
    ("which countries have revenue", "has to do with the number"),
    ("products with stock over 10", "“stock”"),
]


@pytest.mark.parametrize(("question", "reason"), NEAR, ids=[q for q, _ in NEAR])
async def test_a_near_question_is_refused_by_its_reason(
    shop_world: World, question: str, reason: str
) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(question)
    assert reason in answer.split("\n\n")[0]
    assert "**" not in answer


async def test_a_period_is_that_of_what_is_measured(shop_world: World) -> None:
    """Customers have dates of their own; the revenue of a year is that of its orders."""
    year = str(today().year - 1)
    expected = totals(
        [line for line in lines_of(shop_world.rows) if line["ordered_at"].startswith(year)],
        "customer",
    )
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask(f"top 3 customers by revenue in {year}")
    assert column(answer, 1) == [money(value) for _, value in expected[:3]]
    await talk.ask("top 3 customers by revenue")
    assert column(await talk.ask(f"and in {year}?"), 1) == [money(v) for _, v in expected[:3]]


async def test_a_near_spelling_never_takes_the_place_of_the_very_value(shop_world: World) -> None:
    rows = shop_world.rows["customers"]
    for row in (rows[0], rows[11]):
        answer = await Talk(sources=[shop_world.source]).ask(
            f'how many customers named "{row["name"]}"'
        )
        assert figure(answer) == "1"
        assert f"“{row['name']}”" in answer


async def test_a_part_of_many_values_is_looked_for_in_all_of_them(shop_world: World) -> None:
    """More customers are called so than a lookup shows."""
    answer = await Talk(sources=[shop_world.source]).ask("how many customers are called Ada")
    expected = sum(row["name"].startswith("Ada") for row in shop_world.rows["customers"])
    assert expected > 8
    assert figure(answer) == str(expected)
    assert "contains “Ada”" in answer


async def test_either_part_of_many_values_is_looked_for(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("how many customers named Ada or Bob")
    names = [row["name"].split()[0] for row in shop_world.rows["customers"]]
    assert figure(answer) == str(names.count("Ada") + names.count("Bob"))


async def test_words_side_by_side_must_both_be_there(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("how many customers named Ada Kern")
    names = [row["name"] for row in shop_world.rows["customers"]]
    assert figure(answer) == str(sum(name.startswith("Ada Kern") for name in names))


async def test_what_is_missing_is_a_filter(shop_world: World) -> None:
    for question in ("how many orders without a status", "how many orders have a missing status"):
        assert figure(await Talk(sources=[shop_world.source]).ask(question)) == "0"


async def test_a_missing_key_is_the_subjects_own(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    assert figure(await talk.ask("how many orders have no customer")) == "0"
    assert '"customer_id" IS NULL' in talk.statements[-1]


async def test_listed_numbers_come_with_names(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("list all products with their price")
    products = shop_world.rows["products"]
    assert table(answer) == [[p["name"], money(p["price"])] for p in products]


async def test_new_ones_are_those_of_the_period(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("how many new customers in 2023")
    dates = [row["signup_date"] for row in shop_world.rows["customers"]]
    assert figure(answer) == str(sum(date.startswith("2023") for date in dates))


async def test_a_sort_is_kept_by_what_follows(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    for question in ("show customers", "sort by name", "only the ones in Spain"):
        answer = await talk.ask(question)
    names = sorted(r["name"] for r in shop_world.rows["customers"] if r["country"] == "Spain")
    assert column(answer, 1) == names


async def test_listed_rows_are_counted_when_asked(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    await talk.ask("show orders from Spain")
    answer = await talk.ask("how many are there?")
    assert figure(answer) == str(len(orders_of(shop_world.rows, country="Spain")))


async def test_a_share_is_split_by_groups(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(
        "percentage of cancelled orders by country"
    )
    every = Counter(o["country"] for o in orders_of(shop_world.rows))
    hits = Counter(o["country"] for o in orders_of(shop_world.rows, status="cancelled"))
    assert {r[0]: r[1] for r in table(answer)} == {
        k: money(100 * hits[k] / n) for k, n in every.items()
    }


async def test_the_most_frequent_value_is_counted(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(
        "what is the most common status of orders?"
    )
    statuses = Counter(o["status"] for o in shop_world.rows["orders"])
    assert figure(answer) == str(max(statuses.values()))


async def test_a_thing_without_a_name_is_told_by_its_number(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("biggest order")
    best, value = totals(lines_of(shop_world.rows), "order")[0]
    assert answer.startswith(f"**order {best}** has the highest revenue: **{money(value)}**.")


async def test_months_of_any_year_are_told_as_such(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("how many orders in December")
    expected = sum(o["ordered_at"][5:7] == "12" for o in shop_world.rows["orders"])
    assert figure(answer) == str(expected)
    assert "of any year" in answer


async def test_an_open_range_has_two_ends(shop_world: World) -> None:
    low, high = f"{today().year - 1}-03-01", f"{today().year - 1}-08-01"
    answer = await Talk(sources=[shop_world.source]).ask(
        f"how many orders since {low} before {high}"
    )
    expected = sum(low <= o["ordered_at"][:10] < high for o in shop_world.rows["orders"])
    assert figure(answer) == str(expected)


async def test_a_chart_of_different_values_counts_them(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    await talk.ask("chart the different statuses of orders as a pie chart")
    assert talk.calls[-1].name == "chart"
    assert '"mark": "arc", "x": "status"' in talk.calls[-1].arguments


async def test_without_a_chart_tool_the_table_is_shown(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source], tools=("schema", "sql")).ask(
        "plot orders by status"
    )
    assert len(table(answer)) == 4
    assert "no tool to draw charts" in answer


@pytest.mark.parametrize("question", ["plot orders by status", "export orders by status as csv"])
async def test_a_tool_that_could_not_draw_or_save_is_told(shop_world: World, question: str) -> None:
    answer = await Talk(sources=[shop_world.source], fail="the disk is full").ask(question)
    assert "the disk is full" in answer
    assert "Drew" not in answer
    assert "Saved" not in answer


async def test_an_overview_names_tables_and_questions(shop_world: World) -> None:
    for question in ("what is in this database?", "what data do you have?", "overview"):
        answer = await Talk(sources=[shop_world.source]).ask(question)
        assert len(table(answer)) == 5
        assert "You could ask:" in answer
