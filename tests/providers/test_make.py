"""The model put together: chosen, reached, tried again, with tools spelled out where needed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from databot.providers.errors import ToolsUnsupported
from databot.providers.kinds import BUILT_IN, proxy_for
from databot.providers.make import Models, Plan, Reasoning, make_provider, wanted_for
from databot.providers.select import Wanted
from databot.testing import model_faults as fault
from databot.testing.clock import FakeClock
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, ToolSpec
from databot.types.errors import ConfigError, ProviderAuthFailed

QUESTION = ChatRequest(
    model="openai/test-model",
    messages=(ChatMessage(role="user", content="Hello?"),),
    timeout_s=20,
)
SQL = ToolSpec(name="sql", description="Run a query.", parameters={"type": "object"})


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(60), ModelServer() as running:
        yield running


async def made(
    server: ModelServer,
    *,
    model: str = "openai/test-model",
    fallbacks: Sequence[str] = (),
    reasoning: Reasoning = "auto",
) -> Models:
    wanted = Wanted(model=model, api_base=server.url, api_key="k")
    clock = FakeClock(hurried=True)
    return await make_provider(
        Plan(wanted=wanted, clock=clock, fallbacks=fallbacks, reasoning=reasoning)
    )


async def test_the_configured_model_answers_to_its_id_to_auto_and_to_nothing(
    server: ModelServer,
) -> None:
    async with await made(server) as models:
        for name in ("openai/test-model", "auto", ""):
            assert (await models.chat(replace(QUESTION, model=name))).text == "OK"
    assert {request.body["model"] for request in server.requests} == {"test-model"}


async def test_another_model_of_the_same_server_is_reached_through_the_same_client(
    server: ModelServer,
) -> None:
    async with await made(server) as models:
        for name in ("openai/test-model", "openai/other", "openai/other"):
            chunks = [c async for c in models.chat_stream(replace(QUESTION, model=name))]
            assert isinstance(chunks[-1], ChatReply)
    assert [r.body["model"] for r in server.requests] == ["test-model", "other", "other"]


async def test_a_server_that_is_down_for_a_moment_is_asked_again_then_the_fallback(
    server: ModelServer,
) -> None:
    server.script(*[fault.server_error(503)] * 3, Say(text="from the fallback"))
    async with await made(server, fallbacks=["openai/second"]) as models:
        assert (await models.chat(QUESTION)).text == "from the fallback"
    assert [r.body["model"] for r in server.requests] == [*["test-model"] * 3, "second"]


async def test_a_wrong_key_is_told_at_once(server: ModelServer) -> None:
    server.always(fault.wrong_key())
    async with await made(server, fallbacks=["openai/second"]) as models:
        with pytest.raises(ProviderAuthFailed):
            await models.chat(QUESTION)
    assert len(server.requests) == 1


async def test_tools_are_spelled_out_for_a_model_that_has_none(server: ModelServer) -> None:
    server.always(fault.refuses_tools(Say(text="Action: sql\nArguments: {}")))
    async with await made(server) as models:
        reply = await models.chat(replace(QUESTION, tools=(SQL,)))
    assert [call.name for call in reply.tool_calls] == ["sql"]


async def test_react_never_sends_tools(server: ModelServer) -> None:
    async with await made(server, reasoning="react") as models:
        await models.chat(replace(QUESTION, tools=(SQL,)))
    assert "tools" not in server.requests[0].body


async def test_auto_takes_the_model_the_server_lists(server: ModelServer) -> None:
    async with await made(server, model="auto") as models:
        assert models.choice.model == "test-model"
        assert (await models.chat(replace(QUESTION, model="test-model"))).text == "OK"


async def test_the_offline_analyst_needs_nothing() -> None:
    plan = Plan(wanted=Wanted(model="offline"), clock=FakeClock())
    async with await make_provider(plan) as models:
        assert models.choice.kind == "offline"
        assert (await models.chat(replace(QUESTION, model="offline"))).text


async def test_a_plugins_kind_is_made_with_what_was_configured() -> None:
    seen: dict[str, object] = {}

    def acme(*, api_base: str | None, api_key: str, name: str) -> ScriptedProvider:
        seen.update(api_base=api_base, api_key=api_key, name=name)
        return ScriptedProvider(["from a plugin"])

    wanted = Wanted(model="acme/big", api_key="k")
    plan = Plan(wanted=wanted, clock=FakeClock(), kinds={"acme": acme})
    async with await make_provider(plan) as models:
        assert (await models.chat(replace(QUESTION, model="acme/big"))).text == "from a plugin"
    assert seen == {"api_base": None, "api_key": "k", "name": "acme"}


async def test_a_broken_address_is_a_configuration_error() -> None:
    wanted = Wanted(model="openai/x", api_base="localhost:9000")
    with pytest.raises(ConfigError, match=r"llm\.api_base"):
        await make_provider(Plan(wanted=wanted, clock=FakeClock()))


def test_a_fallback_at_another_vendor_gets_neither_the_address_nor_the_key() -> None:
    own = Wanted(model="openai/a", api_base="http://127.0.0.1:1/v1", api_key="k")
    assert wanted_for("groq/b", own) == Wanted(model="groq/b")
    assert wanted_for("openai/b", own) == replace(own, model="openai/b")
    assert wanted_for("just-a-name", own) == replace(own, model="just-a-name")
    cloud = Wanted(model="groq/a", api_key="gsk_1")
    assert wanted_for("openai/b", cloud) == Wanted(model="openai/b")
    assert wanted_for("groq/b", cloud).api_key == "gsk_1"


def test_the_key_of_one_vendor_is_not_sent_to_one_that_only_litellm_knows() -> None:
    cloud = Wanted(model="groq/a", api_key="gsk_1")
    for elsewhere in ("perplexity/sonar", "command-r"):
        assert wanted_for(elsewhere, cloud) == Wanted(model=elsewhere)
    unlisted = Wanted(model="perplexity/sonar", api_key="pplx-1")
    assert wanted_for("perplexity/sonar-pro", unlisted).api_key == "pplx-1"
    assert wanted_for("perplexity-like/x", unlisted) == Wanted(model="perplexity-like/x")


async def test_a_vendor_with_a_protocol_of_its_own_is_reached_through_litellm() -> None:
    wanted = Wanted(model="anthropic/claude-haiku-4-5", api_key="k")
    async with await make_provider(Plan(wanted=wanted, clock=FakeClock())) as models:
        assert models.choice.kind == "litellm"
        assert models.name == "anthropic/claude-haiku-4-5 (litellm)"


async def test_simple_reasoning_hands_tools_on_whatever_the_vendor_says(
    server: ModelServer,
) -> None:
    server.script(fault.refuses_tools(Say(text="never")))
    async with await made(server, reasoning="simple") as models:
        models.warm()
        with pytest.raises(ToolsUnsupported):
            await models.chat(replace(QUESTION, tools=(SQL,)))
    assert len(server.requests) == 1


async def test_a_model_put_together_streams(server: ModelServer) -> None:
    server.reply_with("one two")
    async with await made(server) as models:
        chunks = [chunk async for chunk in models.chat_stream(QUESTION)]
    assert isinstance(chunks[-1], ChatReply)
    assert chunks[-1].text == "one two"


async def test_auto_with_a_vendors_key_looks_for_no_server() -> None:
    plan = Plan(wanted=Wanted(model="auto"), clock=FakeClock(), environ={"GROQ_API_KEY": "gsk_1"})
    async with await make_provider(plan) as models:
        assert models.choice.model.startswith("groq/")


def test_the_proxy_of_the_environment_is_used_except_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    assert proxy_for("https://api.openai.com/v1") == "http://proxy.example:3128"
    assert proxy_for("https://internal.example/v1") is None
    assert proxy_for("https://127.0.0.1:1/v1") is None


def test_the_built_in_kinds_are_the_entry_points() -> None:
    assert set(BUILT_IN) == {"openai", "litellm", "offline"}
