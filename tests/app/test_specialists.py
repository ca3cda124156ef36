"""The specialists as the configuration changes them."""

from pathlib import Path
from typing import Any

import pytest

from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider
from databot.types.errors import ConfigError
from tests.flows.daemon import make_database


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    make_database(tmp_path / "shop.db")
    return {"connectors": {"shop": {"type": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}}}


async def test_without_specialists_one_general_agent_has_every_tool(shop: dict[str, Any]) -> None:
    provider = ScriptedProvider(["hello"])
    async with running_databot({**shop, "agents": {"enabled": False}}, provider=provider) as bot:
        reply = await bot.ask("total amount of the orders")
        assert [agent.name for agent in bot.catalog.agents("default")] == ["general"]
        every = {item.spec.name for item in bot.catalog.tools("default")}
    assert reply.agent == "general"
    assert {tool.name for tool in provider.requests[0].tools} == every


async def test_a_specialist_of_the_operators_own_answers_with_its_prompt_tools_and_model(
    shop: dict[str, Any],
) -> None:
    refunds = {"prompt": "Be generous.", "tools": ["sql"], "model": "small"}
    settings = {**shop, "agents": {"specialists": {"refunds": refunds}}}
    provider = ScriptedProvider(["Of course.", "Gladly."])
    async with running_databot(settings, provider=provider) as bot:
        forced = await bot.ask("@refunds my money back, please")
        routed = await bot.ask("who handles refunds here?")
    assert (forced.agent, routed.agent) == ("refunds", "refunds")
    request = provider.requests[0]
    assert "Be generous." in request.messages[0].content
    assert [tool.name for tool in request.tools] == ["sql"]
    assert request.model == "small"


async def test_a_specialist_with_a_misspelt_tool_is_refused(shop: dict[str, Any]) -> None:
    settings = {**shop, "agents": {"specialists": {"refunds": {"tools": ["sqll"]}}}}
    with pytest.raises(ConfigError, match=r"agents\.specialists\.refunds\.tools.*'sqll'"):
        async with running_databot(settings):
            pass


@pytest.mark.parametrize(
    "question",
    [
        "@Finance what is due?",
        "@finance what is due?",
        " @FINANCE\nwhat is due?",
        "@Finance\twhat is due?",
    ],
)
async def test_a_specialist_is_forced_by_its_name_in_any_case_whatever_space_follows(
    shop: dict[str, Any], question: str
) -> None:
    settings = {**shop, "agents": {"specialists": {"Finance": {"tools": ["sql"]}}}}
    provider = ScriptedProvider(["Nothing."])
    async with running_databot(settings, provider=provider) as bot:
        reply = await bot.ask(question)
    assert reply.agent == "Finance"
    assert provider.requests[0].messages[-1].content == "what is due?"


@pytest.mark.parametrize("text", ["@", "@finance", "@finance ", "@ finance hello", "@nobody hello"])
async def test_what_names_no_agent_or_asks_nothing_stays_text(
    shop: dict[str, Any], text: str
) -> None:
    settings = {**shop, "agents": {"specialists": {"Finance": {"tools": ["sql"]}}}}
    provider = ScriptedProvider(["Pardon?"])
    async with running_databot(settings, provider=provider) as bot:
        await bot.ask(text)
    assert provider.requests[0].messages[-1].content == text
