"""What a bot is allowed: its connectors, its tools, its passages, and no others."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from databot.app.daemon import Databot
from databot.app.toolsets import view_for
from databot.config.sections import BotSection
from databot.connectors.base import CallContext
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider, calling
from databot.types.errors import ConfigError, ConnectorError
from tests.flows.daemon import make_database
from tests.plugins.site import Site


@pytest.fixture
def two_databases(tmp_path: Path) -> dict[str, Any]:
    """A shop, and salaries that are not everybody's business."""
    make_database(tmp_path / "shop.db")
    with sqlite3.connect(tmp_path / "staff.db") as db:
        db.execute("CREATE TABLE salaries (person TEXT, monthly_salary REAL)")
        db.execute("INSERT INTO salaries VALUES ('Ann', 4000)")
    db.close()
    return {
        "connectors": {
            name: {"type": "sql", "url": f"sqlite:///{tmp_path / name}.db"}
            for name in ("shop", "staff")
        },
        "bots": {"default": {}, "seller": {"connectors": ["shop"]}},
    }


async def test_a_bot_has_only_the_connectors_it_names(two_databases: dict[str, Any]) -> None:
    question = calling("sql", '{"connector": "staff", "sql": "SELECT * FROM salaries"}')
    provider = ScriptedProvider([question, "I have no such data.", question, "4000."])
    async with running_databot(two_databases, provider=provider) as bot:
        refused = await bot.ask("@sql what does Ann earn?", bot_id="seller")
        allowed = await bot.ask("@sql what does Ann earn?")
    assert [tool.ok for tool in refused.tools] == [False]
    assert refused.evidence == ()
    assert "4000" not in "".join(item.content for item in provider.requests[1].messages)
    assert [tool.ok for tool in allowed.tools] == [True]
    assert allowed.evidence[0].sample == (("Ann", 4000.0),)


async def test_what_a_bot_does_not_name_does_not_exist_for_its_tools(
    two_databases: dict[str, Any],
) -> None:
    async with running_databot(two_databases) as bot:
        view = view_for(BotSection(connectors=["shop"]), bot.connectors)
        assert list(view.names()) == ["shop"]
        assert view.get("shop") is bot.connectors.get("shop")
        assert list(view.sql()) == ["shop"]
        assert [status.name for status in await view.statuses()] == ["shop"]
        with pytest.raises(ConnectorError, match="the connectors are: shop") as caught:
            view.get("staff")
        assert caught.value.kind == "not_found"
        rows = await view.sql()["shop"].query("SELECT COUNT(*) FROM orders", CallContext())
        assert rows.table.num_rows == 1


async def test_a_bot_that_names_no_connector_has_all_of_them(
    two_databases: dict[str, Any],
) -> None:
    async with running_databot(two_databases) as bot:
        assert view_for(BotSection(), bot.connectors) is bot.connectors


async def test_a_bot_that_names_a_missing_connector_is_refused_with_what_there_is(
    two_databases: dict[str, Any],
) -> None:
    two_databases["bots"]["seller"]["connectors"] = ["shop", "stuff"]
    with pytest.raises(ConfigError, match=r"no connector 'stuff'.*the connectors are: shop, staff"):
        async with running_databot(two_databases):
            pass


async def indexed(bot: Databot) -> None:
    assert bot.rag is not None
    async with asyncio.timeout(60):
        await bot.rag.sync("default")


async def test_a_bot_is_told_of_no_schema_but_its_own_connectors(
    two_databases: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "salaries.md"
    page.write_text("# Salaries\n\nA monthly salary is paid on the last day.", encoding="utf-8")
    settings = {**two_databases, "rag": {"enabled": True, "sources": [str(page)]}}
    provider = ScriptedProvider(["no idea"] * 2)
    async with running_databot(settings, provider=provider, background=False) as bot:
        await indexed(bot)
        await bot.ask("the monthly salary of each person", bot_id="seller")
        await bot.ask("the monthly salary of each person")
    seller, everyone = (
        "".join(message.content for message in request.messages) for request in provider.requests
    )
    assert "last day" in seller
    assert "monthly_salary" not in seller
    assert "monthly_salary" in everyone


async def test_a_tool_outside_a_bots_list_is_neither_shown_nor_run(
    two_databases: dict[str, Any],
) -> None:
    two_databases["bots"]["seller"]["tools"] = ["schema", "sql"]
    attempt = calling("remember", '{"key": "a", "value": "b"}')
    provider = ScriptedProvider([attempt, "I cannot."])
    async with running_databot(two_databases, provider=provider) as bot:
        reply = await bot.ask("remember a is b", bot_id="seller")
        assert await bot.memory.items("default", "local") == {}
    assert {tool.name for tool in provider.requests[0].tools} <= {"schema", "sql"}
    assert [tool.ok for tool in reply.tools] == [False]


PLACES = """
from databot.tools.base import BaseTool, Effect, ToolResult

class Places(BaseTool):
    name = "places"
    description = "Tells which places for processes it was given."
    effect = Effect.READ

    @classmethod
    def create(cls, services):
        tool = cls()
        tool.given = services.processes
        return tool

    async def run(self, arguments, context):
        return ToolResult(content=f"places {id(self.given)}")
"""


async def test_all_bots_share_the_places_for_processes(
    two_databases: dict[str, Any], site: Site
) -> None:
    site.install("acme-places", "acme_places", PLACES, places="Places")
    provider = ScriptedProvider([calling("places"), "done"] * 2)
    async with running_databot(two_databases, provider=provider) as bot:
        for bot_id in ("default", "seller"):
            await bot.ask("which places?", bot_id=bot_id)
    given = [request.messages[-1].content for request in provider.requests[1::2]]
    assert given[0].startswith("places ")
    assert given[0] == given[1]


async def test_tools_that_are_not_enabled_are_no_bots(two_databases: dict[str, Any]) -> None:
    settings = {**two_databases, "tools": {"enabled": ["sql"]}}
    async with running_databot(settings) as bot:
        assert [item.spec.name for item in bot.catalog.tools("default")] == ["sql"]
