"""The specialists as the configuration changes them."""

from pathlib import Path
from typing import Any

import pytest

from databot.config.settings import Settings
from databot.core.window import spec_tokens, total_tokens
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import ChatReply, Usage
from databot.types.errors import ConfigError, DatabotError
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


async def test_without_the_general_agent_the_last_of_the_others_answers_what_none_claims(
    shop: dict[str, Any],
) -> None:
    off = {"enabled": False}
    settings = {**shop, "agents": {"specialists": {"general": off, "catalog": off}}}
    async with running_databot(settings, provider=ScriptedProvider(["Hello."])) as bot:
        reply = await bot.ask("hello")
        assert "general" not in [agent.name for agent in bot.catalog.agents("default")]
    assert reply.agent == "sql"


async def test_a_bot_without_any_agent_is_refused() -> None:
    with pytest.raises(ConfigError, match="none is enabled") as caught:
        async with running_databot({"agents": {"specialists": {"general": {"enabled": False}}}}):
            pass
    assert "general" in caught.value.hint


async def test_what_choosing_an_agent_took_is_in_the_account(shop: dict[str, Any]) -> None:
    cost = Usage(input_tokens=100, output_tokens=10, cost_usd=0.5)
    answers = [ChatReply(text=text, usage=cost) for text in ("catalog", "Two tables.")]
    async with running_databot(shop, provider=ScriptedProvider(answers)) as bot:
        reply = await bot.ask("how many tables: describe them")
    assert (reply.agent, reply.usage) == ("catalog", cost + cost)


async def test_a_prompt_stays_within_the_smallest_budget_there_is(shop: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="context_tokens"):
        Settings.parse({"agent": {"context_tokens": 3_999}})
    settings = {**shop, "agent": {"context_tokens": 4_000}}
    provider = ScriptedProvider(["I see."])
    async with running_databot(settings, provider=provider) as bot:
        await bot.ask("how many orders? " * 400)
        with pytest.raises(DatabotError, match="too long"):
            await bot.ask("how many orders? " * 600)
    (request,) = provider.requests
    assert total_tokens(request.messages) + spec_tokens(request.tools) <= 4_000
