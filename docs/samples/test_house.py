"""A whole databot in a test: real database, real tools, real store; only the model is scripted."""

import sqlite3
from pathlib import Path

import pytest

from databot.testing.channel import MemoryChannel
from databot.testing.model_faults import wrong_key
from databot.testing.model_server import ModelServer
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider, calling


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, object]:
    """Settings with a small database."""
    file = tmp_path / "shop.db"
    connection = sqlite3.connect(file)
    connection.executescript("CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1), (2)")
    connection.close()
    return {"connectors": {"shop": {"type": "sql", "url": f"sqlite:///{file}"}}}


async def test_the_answer_carries_the_query_it_rests_on(shop: dict[str, object]) -> None:
    model = ScriptedProvider(
        [calling("sql", '{"sql": "SELECT count(*) AS n FROM orders"}'), "There are 2 orders."]
    )
    async with running_databot(shop, provider=model) as bot:
        reply = await bot.ask("How many orders?")
    assert reply.content == "There are 2 orders."
    assert reply.evidence[0].statement == "SELECT count(*) AS n FROM orders"
    assert reply.notes == ()


async def test_a_figure_nothing_supports_is_noted(shop: dict[str, object]) -> None:
    model = ScriptedProvider(
        [calling("sql", '{"sql": "SELECT count(*) AS n FROM orders"}'), "There are 9 orders."]
    )
    async with running_databot(shop, provider=model) as bot:
        reply = await bot.ask("How many orders?")
    assert "9" in reply.notes[0]


async def test_a_channel_gets_its_answer(shop: dict[str, object]) -> None:
    channel = MemoryChannel()
    async with running_databot(shop, channels={"memory": channel}) as bot:
        assert bot.catalog.channels()
        await channel.say("how many orders?")  # no model is given: the offline analyst answers
        assert "2" in (await channel.next_reply()).content


async def test_a_refused_key_is_told_by_its_type() -> None:
    async with ModelServer() as server:
        server.always(wrong_key())
        llm = {"model": "openai/test-model", "api_base": server.url, "api_key": "sk-test"}
        async with running_databot({"llm": llm}) as bot:
            events = [event async for event in bot.stream("hello")]
    assert getattr(events[-1], "error", None) == "model_auth_failed"
