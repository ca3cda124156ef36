"""Follow-ups: the question before, changed; everything is rebuilt from the messages alone."""

from collections import Counter
from dataclasses import replace

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
    "words", ["and by country?", "by country", "what about by country", "now per country"]
)
async def test_a_count_is_split_by_something(shop_world: World, words: str) -> None:
    _, answer = await asked(shop_world, "How many orders are cancelled?", words)
    expected = Counter(o["country"] for o in orders_of(shop_world.rows, status="cancelled"))
    assert {row[0]: row[1] for row in table(answer)} == {k: str(v) for k, v in expected.items()}


@pytest.mark.parametrize("words", ["only cancelled ones", "just the cancelled", "and cancelled?"])
async def test_a_filter_is_added(shop_world: World, words: str) -> None:
    _, answer = await asked(shop_world, "how many orders?", words)
    assert figure(answer) == str(len(orders_of(shop_world.rows, status="cancelled")))


async def test_a_value_of_the_same_column_replaces_the_one_before(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many orders are cancelled?", "and shipped?")
    assert figure(answer) == str(len(orders_of(shop_world.rows, status="shipped")))


async def test_filters_add_up_over_several_messages(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many orders", "only cancelled ones", "only in Germany")
    rows = orders_of(shop_world.rows, status="cancelled", country="Germany")
    assert figure(answer) == str(len(rows))


async def test_a_period_is_replaced(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many orders in 2019?", "what about 2025?")
    expected = sum(o["ordered_at"].startswith("2025") for o in shop_world.rows["orders"])
    assert figure(answer) == str(expected)


async def test_a_ranking_is_made_longer(shop_world: World) -> None:
    _, answer = await asked(shop_world, "top 3 customers by revenue", "top 10 instead")
    expected = totals(lines_of(shop_world.rows), "customer")[:10]
    assert column(answer, 1) == [money(value) for _, value in expected]


async def test_another_thing_is_ranked(shop_world: World) -> None:
    _, answer = await asked(shop_world, "top 3 customers by revenue", "and products?")
    expected = totals(lines_of(shop_world.rows), "product")[:3]
    assert column(answer, 0) == [name for name, _ in expected]


async def test_another_thing_is_counted(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many orders are there?", "and customers?")
    assert figure(answer) == str(len(shop_world.rows["customers"]))


async def test_another_function_is_taken(shop_world: World) -> None:
    _, answer = await asked(shop_world, "average price of products", "and the maximum?")
    assert figure(answer) == money(max(p["price"] for p in shop_world.rows["products"]))


async def test_the_question_before_is_charted(shop_world: World) -> None:
    talk, answer = await asked(shop_world, "orders by country", "chart it")
    assert [call.name for call in talk.calls] == ["schema", "chart"]
    assert '"x": "country", "y": "orders"' in talk.calls[-1].arguments
    assert "Drew a bar chart" in answer


async def test_a_bare_count_is_charted_over_time(shop_world: World) -> None:
    talk, _ = await asked(shop_world, "how many orders", "plot it as a bar chart")
    assert '"mark": "bar", "x": "month"' in talk.calls[-1].arguments


async def test_the_question_before_is_exported(shop_world: World) -> None:
    talk, _ = await asked(shop_world, "customers in Spain", "export that as csv")
    assert talk.calls[-1].name == "export"
    assert "Spain" in talk.calls[-1].arguments
    assert "LIMIT" not in talk.calls[-1].arguments


async def test_own_sql_is_charted_by_its_columns(shop_world: World) -> None:
    sql = "SELECT status, COUNT(*) AS n FROM orders GROUP BY status"
    talk, _ = await asked(shop_world, sql, "chart it")
    assert '"x": "status", "y": "n"' in talk.calls[-1].arguments


async def test_own_sql_is_exported(shop_world: World) -> None:
    talk, _ = await asked(shop_world, "SELECT * FROM orders", "to excel please")
    assert '"format": "xlsx"' in talk.calls[-1].arguments


async def test_thanks_in_between_change_nothing(shop_world: World) -> None:
    _, answer = await asked(
        shop_world, "how many orders are cancelled?", "thanks!", "and by country?"
    )
    assert sum(int(value) for value in column(answer, 1)) == len(
        orders_of(shop_world.rows, status="cancelled")
    )


async def test_why_is_refused_honestly(shop_world: World) -> None:
    _, answer = await asked(shop_world, "how many orders are cancelled?", "why?")
    assert "Explaining causes is more than I can do" in answer


async def test_values_found_earlier_are_looked_up_again_when_the_prompt_lost_them(
    shop_world: World,
) -> None:
    talk, _ = await asked(shop_world, "how many orders are cancelled?")
    talk.messages = [
        replace(m, content=m.content[:40] + "\n[cut by databot]") if m.role == "tool" else m
        for m in talk.messages
    ]
    answer = await talk.ask("and by country?")
    assert sum(int(value) for value in column(answer, 1)) == len(
        orders_of(shop_world.rows, status="cancelled")
    )


@pytest.mark.parametrize(
    "words", ["and by country?", "top 10 instead", "chart it", "only cancelled ones"]
)
async def test_a_follow_up_of_nothing_is_no_question(shop_world: World, words: str) -> None:
    _, answer = await asked(shop_world, words)
    assert "Questions I can answer here" in answer
