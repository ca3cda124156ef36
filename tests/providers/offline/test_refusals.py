"""Honesty: what is not understood is refused with a reason, offers three questions that work, and holds no figure."""

import re

import pytest

from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import World

REFUSED = [
    "what is the weather in Paris",
    "asdf qwer zxcv",
    "predict next month's revenue",
    "why did sales drop?",
    "delete all orders",
    "drop table customers",
    "update the price of Product 3",
    "median price of products",
    "correlation between price and quantity",
    "how many unicorns are there",
    "orders from Atlantis",
    "how many orders are exploded",
    "write me a poem about orders",
    "translate hello into French",
    "revenue and quantity by product",
    "top 5 customers by happiness",
    "send an email to all customers",
    "compare this month with last month",
    "DELETE FROM orders",
    "how many customers bought Product 3 and never came back",
    "orders by moon phase",
    "42",
    "year over year growth",
]


@pytest.mark.parametrize("question", REFUSED)
async def test_what_is_not_understood_is_said_so(shop_world: World, question: str) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask(question)
    assert "Questions I can answer here:" in answer
    assert "not a language model" in answer
    assert "**" not in answer  # no figure
    offered = re.findall(r"^- (.+)$", answer, re.MULTILINE)
    assert len(offered) == 3


@pytest.mark.parametrize("fixture", ["shop_world", "telemetry_world", "duckdb_clinic"])
async def test_every_question_offered_has_an_answer(
    request: pytest.FixtureRequest, fixture: str
) -> None:
    world: World = request.getfixturevalue(fixture)
    help_text = await Talk(sources=[world.source]).ask("help")
    offered = re.findall(r"^- (.+)$", help_text, re.MULTILINE)
    assert len(offered) == 3
    for question in offered:
        talk = Talk(sources=[world.source])
        answer = await talk.ask(question)
        assert talk.calls[-1].name == "sql"
        assert "|" in answer or "**" in answer


async def test_a_word_that_is_nowhere_is_named_with_what_there_is(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("how many orders are exploded?")
    assert "“exploded”" in answer
    assert "“cancelled”" in answer


async def test_a_word_no_one_explained_is_never_skipped(shop_world: World) -> None:
    """The question is refused although the rest of it would give a figure."""
    answer = await Talk(sources=[shop_world.source]).ask("how many quixotic orders are there")
    assert "“quixotic”" in answer


async def test_a_sum_that_would_count_twice_is_not_made(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source]).ask("average price of products by country")
    assert "no chain of keys" in answer


async def test_two_statements_are_not_run(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask("SELECT 1 FROM orders; DELETE FROM orders")
    assert talk.statements == []
    assert "one SELECT at a time" in answer


async def test_sql_that_does_not_parse_is_told(shop_world: World) -> None:
    talk = Talk(sources=[shop_world.source])
    answer = await talk.ask("SELECT FROM WHERE (1")
    assert talk.statements == []
    assert "That SQL has a mistake" in answer


@pytest.mark.parametrize(
    ("greeting", "reply"),
    [("hello", "Hello"), ("Hi there!", "Hello"), ("thanks a lot", "welcome"), ("bye", "Goodbye")],
)
async def test_small_talk_needs_no_tool(shop_world: World, greeting: str, reply: str) -> None:
    talk = Talk(sources=[shop_world.source])
    assert reply in await talk.ask(greeting)
    assert talk.calls == []


@pytest.mark.parametrize("question", ["who are you?", "are you an AI?", "help", "what can you do?"])
async def test_it_says_what_it_is_when_asked(shop_world: World, question: str) -> None:
    answer = await Talk(sources=[shop_world.source]).ask(question)
    assert "offline analyst" in answer
    assert "not a language model" in answer


async def test_it_does_not_say_so_in_every_answer(shop_world: World) -> None:
    assert "offline" not in await Talk(sources=[shop_world.source]).ask("how many orders")
