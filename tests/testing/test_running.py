"""The shipped kit: a whole databot in a test, with every room real and a scripted model."""

import asyncio
import logging
from pathlib import Path

import pytest

from databot.observability.logs import current_turn
from databot.testing.channel import MemoryChannel
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider, calling
from databot.types.errors import ConfigError, DatabotError, NotFound, ProviderTimeout
from databot.types.events import ApprovalRequested, TurnFinished
from databot.types.messages import LOCAL_PRINCIPAL, ConversationKey
from tests.flows.daemon import make_database


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, object]:
    make_database(tmp_path / "shop.db")
    return {"connectors": {"shop": {"type": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}}}


async def test_a_question_runs_through_the_whole_house(shop: dict[str, object]) -> None:
    provider = ScriptedProvider(
        [calling("sql", '{"sql": "SELECT COUNT(*) AS n FROM orders"}'), "There are 6 orders."]
    )
    async with running_databot(shop, provider=provider) as bot:
        reply = await bot.ask("@sql how many orders?", session_id="s")
        assert reply.content == "There are 6 orders."
        assert reply.notes == ()
        assert reply.evidence[0].sample == ((6,),)
        assert [summary.turns for summary in await bot.sessions.list("default")] == [1]


async def test_the_offline_analyst_answers_without_a_script(shop: dict[str, object]) -> None:
    async with running_databot(shop) as bot:
        reply = await bot.ask("total amount by country")
    assert "150" in reply.content
    assert reply.evidence[0].rows == 2


async def test_a_failed_turn_is_an_error_of_its_own_type() -> None:
    async with running_databot(provider=ScriptedProvider([ProviderTimeout("slow")])) as bot:
        with pytest.raises(DatabotError) as caught:
            await bot.ask("hello")
    assert caught.value.type == "model_timeout"


async def test_a_channel_gets_its_reply_once_per_message() -> None:
    channel = MemoryChannel()
    provider = ScriptedProvider(["hello Ann", "and again"])
    async with running_databot(provider=provider, channels={"memory": channel}):
        await channel.say("hi", message_id="m1")
        await channel.say("hi", message_id="m1")
        await channel.say("hi again", message_id="m2")
        assert (await channel.next_reply()).content == "hello Ann"
        assert (await channel.next_reply()).content == "and again"
    assert channel.accepted[0] == channel.accepted[1]
    assert len(provider.requests) == 2


async def test_a_tool_that_needs_approval_is_not_run() -> None:
    provider = ScriptedProvider([calling("remember", '{"key": "a", "value": "b"}'), "I may not."])
    settings = {"agent": {"approval_required": ["remember"]}}
    async with running_databot(settings, provider=provider) as bot, asyncio.timeout(60):
        event = None
        async for event in bot.stream("remember this"):
            if isinstance(event, ApprovalRequested):
                assert await bot.memory.items("default", "local") == {}
                await bot.approvals.decide(LOCAL_PRINCIPAL, event.approval_id, "deny")
        assert isinstance(event, TurnFinished)
        assert await bot.memory.items("default", "local") == {}
    assert [tool.ok for tool in event.message.tools] == [False]
    assert "denied" in provider.requests[1].messages[-1].content


async def test_a_specialist_cannot_call_what_is_outside_its_scope(shop: dict[str, object]) -> None:
    provider = ScriptedProvider([calling("remember", '{"key": "a", "value": "b"}'), "I cannot."])
    async with running_databot(shop, provider=provider) as bot:
        reply = await bot.ask("@sql remember this")
        assert await bot.memory.items("default", "local") == {}
    assert "remember" not in {tool.name for tool in provider.requests[0].tools}
    assert [tool.ok for tool in reply.tools] == [False]


async def test_an_agent_without_its_tools_is_said_to_be_inactive() -> None:
    async with running_databot() as bot:
        with pytest.raises(NotFound, match="no active agent named 'pipeline'"):
            await bot.ask("@pipeline what failed last night?")


async def test_a_bot_sees_only_its_own_connectors(shop: dict[str, object]) -> None:
    settings = {
        **shop,
        "bots": {"default": {}, "narrow": {"connectors": ["other"]}},
    }
    settings["connectors"] = {
        **shop["connectors"],  # type: ignore[dict-item] - a mapping by construction
        "other": {"type": "sql", "url": "sqlite:///nowhere.db"},
    }
    provider = ScriptedProvider(
        [calling("sql", '{"sql": "SELECT 1", "connector": "shop"}'), "No such connector."]
    )
    async with running_databot(settings, provider=provider) as bot:
        reply = await bot.ask("use the shop", bot_id="narrow")
    assert [tool.ok for tool in reply.tools] == [False]


async def test_an_unknown_memory_strategy_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"memory\.strategy"):
        async with running_databot({"memory": {"strategy": "psychic"}}):
            pass


async def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(TypeError, match="cloak"):
        async with running_databot(cloak="x"):
            pass


async def test_a_log_line_of_a_turn_names_the_turn() -> None:
    seen: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(current_turn.get())

    handler = Keep()
    logging.getLogger("databot.core.pipeline").addHandler(handler)
    try:
        async with running_databot(provider=ScriptedProvider([ProviderTimeout("slow")])) as bot:
            with pytest.raises(DatabotError):
                await bot.ask("hello", session_id="s")
            [message, *_] = await bot.sessions.messages(
                ConversationKey(tenant_id="default", bot_id="default", session_id="s")
            )
    finally:
        logging.getLogger("databot.core.pipeline").removeHandler(handler)
    assert seen == [message.turn_id]
    assert current_turn.get() == ""
