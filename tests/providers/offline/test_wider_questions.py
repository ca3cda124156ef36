"""More ways to ask: amounts in short, charts of what was listed, days that do not exist, SQL of one's own."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.providers.offline.reading import column, figure, table
from tests.providers.offline.test_shop import lines_of, money, orders_of, totals
from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import World


async def asked(world: World, *questions: str) -> tuple[Talk, str]:
    talk = Talk(sources=[world.source])
    answer = ""
    for question in questions:
        answer = await talk.ask(question)
    return talk, answer


@pytest.mark.parametrize(
    ("question", "least"),
    [
        ("how many products cost more than 0.1k?", 100),
        ("how many products cost more than 0.15K?", 150),
        ("how many products cost more than 1k?", 1000),
        ("how many products cost more than 0.001m?", 1000),
    ],
)
async def test_thousands_and_millions_may_be_written_short(
    shop_world: World, question: str, least: float
) -> None:
    _, answer = await asked(shop_world, question)
    expected = sum(product["price"] > least for product in shop_world.rows["products"])
    assert figure(answer) == str(expected)


async def test_a_month_by_its_number_is_that_month(shop_world: World) -> None:
    month = f"{datetime.now(UTC).date() - timedelta(days=60):%Y-%m}"
    _, answer = await asked(shop_world, f"how many orders in {month}")
    expected = sum(order["ordered_at"].startswith(month) for order in shop_world.rows["orders"])
    assert figure(answer) == str(expected)


@pytest.mark.parametrize(
    "question",
    [
        "how many orders on 2024-02-31",
        "how many orders from 2024-01-01 to 2024-13-45",
        "how many orders between 2024-02-30 and 2024-03-01",
        "how many orders since 2024-02-31",
        "how many orders in 2024-13",
    ],
)
async def test_a_day_that_does_not_exist_is_refused_and_nothing_is_counted(
    shop_world: World, question: str
) -> None:
    talk, answer = await asked(shop_world, question)
    assert answer.startswith("I do not know what to do with “")
    assert talk.statements == []


async def test_a_chart_of_a_plain_list_goes_along_its_dates(shop_world: World) -> None:
    talk, _ = await asked(shop_world, "list the customers", "chart it")
    arguments = json.loads(talk.calls[-1].arguments)
    assert (arguments["mark"], arguments["x"], arguments["y"]) == ("line", "month", "customers")


async def test_a_chart_of_different_values_is_of_how_many_there_are_of_each(
    shop_world: World,
) -> None:
    talk, _ = await asked(shop_world, "list the different cities", "chart it")
    arguments = json.loads(talk.calls[-1].arguments)
    assert (arguments["mark"], arguments["x"], arguments["y"]) == ("bar", "city", "customers")


@pytest.mark.parametrize(
    ("question", "y"),
    [("plot orders", "orders"), ("chart revenue", "revenue")],
)
async def test_a_chart_without_an_axis_goes_by_month(
    shop_world: World, question: str, y: str
) -> None:
    talk, _ = await asked(shop_world, question)
    arguments = json.loads(talk.calls[-1].arguments)
    assert (arguments["mark"], arguments["x"], arguments["y"]) == ("line", "month", y)


@pytest.mark.parametrize("questions", [("plot products",), ("list categories", "chart it")])
async def test_what_has_nothing_to_go_along_an_axis_is_not_drawn(
    shop_world: World, questions: tuple[str, ...]
) -> None:
    talk, answer = await asked(shop_world, *questions)
    assert answer.startswith("A chart needs something to go along its axis")
    assert all(call.name != "chart" for call in talk.calls)


async def test_two_groups_are_drawn_as_bars_in_colours(shop_world: World) -> None:
    talk, _ = await asked(shop_world, "chart orders by country and status")
    arguments = json.loads(talk.calls[-1].arguments)
    assert (arguments["x"], arguments["color"]) == ("country", "status")


async def test_a_number_may_take_the_place_of_a_count(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many customers by country", "what about revenue")
    expected = totals(lines_of(shop_world.rows), "country")
    assert column(answer, 0) == [name for name, _ in expected]
    assert column(answer, 1) == [money(value) for _, value in expected]


async def test_a_share_may_be_asked_of_what_was_counted(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many customers", "what about the share of active ones")
    customers = shop_world.rows["customers"]
    share = 100 * sum(one["is_active"] for one in customers) / len(customers)
    assert figure(answer) == f"{share:.2f}"


@pytest.mark.parametrize(
    ("questions", "reason"),
    [
        (("how many orders?", "and the average?"), "There is no number in the question before"),
        (("revenue by country", "and the average"), "Say “average order value”"),
        (("how many categories", "and per month"), "I find no date to count by month there"),
        (("what share of orders?",), "I do not see which part of them you mean"),
        (("count the cities of customers",), "I do not know what “city” should do"),
        (("how many orders have a name above 10",), "Name is not a number I could compare with 10"),
        (("by country",), "I do not see which table that is about"),
        (("only cancelled ones",), "“cancelled” is a value of orders.status"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_its_reason_with_what_can_be(
    shop_world: World, questions: tuple[str, ...], reason: str
) -> None:
    _, answer = await asked(shop_world, *questions)
    assert answer.startswith(reason)
    assert "Questions I can answer here:" in answer


@pytest.mark.parametrize("question", ["total orders", "how many orders in total"])
async def test_the_total_of_things_is_how_many_there_are(shop_world: World, question: str) -> None:
    _, answer = await asked(shop_world, question)
    assert figure(answer) == str(len(shop_world.rows["orders"]))


async def test_the_most_frequent_of_those_that_are_pointed_at_are_counted(
    shop_world: World,
) -> None:
    _, answer = await asked(shop_world, "most frequent customers")
    names = {one["id"]: one["name"] for one in shop_world.rows["customers"]}
    counts = Counter(names[order["customer_id"]] for order in shop_world.rows["orders"])
    expected = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
    assert table(answer) == [[name, str(count)] for name, count in expected]


async def test_things_joined_by_what_happened_to_them_are_each_counted_once(
    shop_world: World,
) -> None:
    _, answer = await asked(shop_world, "how many products by status")
    orders = {one["id"]: one["status"] for one in orders_of(shop_world.rows)}
    pairs = {(orders[i["order_id"]], i["product_id"]) for i in shop_world.rows["order_items"]}
    expected = Counter(status for status, _ in pairs)
    assert {row[0]: row[1] for row in table(answer)} == {k: str(v) for k, v in expected.items()}


async def test_without_dates_the_latest_are_those_with_the_highest_key_and_that_is_said(
    shop_world: World,
) -> None:
    _, answer = await asked(shop_world, "latest categories")
    assert column(answer, 1) == ["Toys", "Electronics", "Books"]
    assert "Note: the latest by id: there is no date." in answer


async def test_values_of_a_time_without_any_are_said_to_be_none(shop_world: World) -> None:
    _, answer = await asked(shop_world, "what countries are there in 1998")
    assert answer.startswith("There is no country in 1998: no rows.")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT status FROM orders WHERE 1 = 0", "The query gave no rows."),
        ("SELECT COUNT(*) AS n FROM orders", "n: **400**"),
        ("SELECT nope FROM orders", "The query did not run: no such column: nope"),
    ],
)
async def test_sql_of_ones_own_is_run_as_it_is_and_its_result_told(
    shop_world: World, sql: str, said: str
) -> None:
    talk, answer = await asked(shop_world, sql)
    assert talk.statements == [sql]
    assert answer.startswith(said)


async def test_sql_without_a_number_is_told_instead_of_drawn(shop_world: World) -> None:
    sql = "SELECT name FROM products WHERE id = 1"
    talk, answer = await asked(shop_world, sql, "chart it")
    assert answer.startswith("name: **Product 1**")
    assert all(call.name != "chart" for call in talk.calls)


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        ("the database is down: connection refused", "`databot doctor` says why"),
        ("permission denied for table orders", "may see; “list tables” shows them"),
        ("stopped after 30 s", "a shorter period or a narrower filter"),
        ("division by zero", "Try the question in other words"),
    ],
)
async def test_a_failed_query_is_told_with_what_to_try(
    shop_world: World, failure: str, advice: str
) -> None:
    answer = await Talk(sources=[shop_world.source], fail=failure).ask("how many orders?")
    assert failure in answer
    assert advice in answer


async def test_without_a_tool_to_look_at_data_with_the_analyst_says_so(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source], tools=("schema",)).ask("how many orders?")
    assert "no tools to look at data with" in answer


async def test_punctuation_alone_is_told_what_can_be_asked(shop_world: World) -> None:
    _, answer = await asked(shop_world, "  ?? ")
    assert "offline analyst" in answer


async def test_a_table_whose_columns_were_left_out_is_described_after_a_second_look(
    shop_world: World,
) -> None:
    talk = Talk(sources=[shop_world.source], schema_limit=1)
    answer = await talk.ask("describe order_items")
    assert column(answer, 0) == ["id", "order_id", "product_id", "quantity", "unit_price"]
