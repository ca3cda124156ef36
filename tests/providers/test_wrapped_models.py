"""Models behind wrappers: warmed, closed and asked like the model inside; prices and schemas of odd shapes."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from databot.providers.base import LLMProvider
from databot.providers.make import Models, Plan, make_provider
from databot.providers.pricing import price_pair
from databot.providers.react import ReactProvider
from databot.providers.react_text import read_calls, spelled_out
from databot.providers.resilient import Candidate, FallbackProvider
from databot.providers.select import Wanted
from databot.providers.streams import fold
from databot.providers.wire import plain, text_of
from databot.testing.clock import FakeClock
from databot.testing.model_server import ModelServer
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import (
    ChatChunk,
    ChatMessage,
    ChatReply,
    ChatRequest,
    TextChunk,
    ToolCall,
    ToolSpec,
)
from databot.types.errors import ProviderBadResponse

SQL = ToolSpec(name="sql", description="Run a query.", parameters={"type": "object"})
QUESTION = ChatRequest(
    model="m", messages=(ChatMessage(role="user", content="How many?"),), tools=(SQL,)
)


class Watched(ScriptedProvider):
    """Remembers whether it was warmed up and closed."""

    warmed = 0
    shut = 0

    def warm(self) -> None:
        self.warmed += 1

    async def aclose(self) -> None:
        self.shut += 1


@pytest.mark.parametrize("wrapper", ["react", "fallback", "both"])
async def test_a_wrapped_model_is_warmed_up_and_closed_with_its_wrapper(wrapper: str) -> None:
    inner = Watched(["hello"])
    outer: LLMProvider = inner
    if wrapper != "fallback":
        outer = ReactProvider(outer)
    if wrapper != "react":
        outer = FallbackProvider([Candidate(outer, "m")], clock=FakeClock())
    async with outer:
        outer.warm()
        assert (await outer.chat(QUESTION)).text == "hello"
    assert (inner.warmed, inner.shut) == (1, 1)


async def test_simple_reasoning_sends_tools_and_spells_nothing_out() -> None:
    async with ModelServer() as server:
        server.reply_with("Action: sql\nArguments: {}")
        wanted = Wanted(model="openai/m", api_base=server.url, api_key="k")
        plan = Plan(wanted=wanted, clock=FakeClock(hurried=True), reasoning="simple")
        async with await make_provider(plan) as models:
            assert isinstance(models, Models)
            models.warm()
            reply = await models.chat(replace(QUESTION, model="openai/m"))
    assert reply.text == "Action: sql\nArguments: {}"
    assert reply.tool_calls == ()
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == ["sql"]


async def unfinished() -> AsyncIterator[ChatChunk]:
    yield TextChunk("half an ")


class Unfinished(ScriptedProvider):
    """Breaks the contract: its stream ends without a reply."""

    async def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:  # type: ignore[override] - on purpose not a generator of its own
        yield TextChunk("half an ")


async def test_a_stream_that_ends_without_its_reply_is_a_bad_response() -> None:
    with pytest.raises(ProviderBadResponse, match="ended its stream without an answer"):
        await fold("m", unfinished())
    with pytest.raises(ProviderBadResponse, match="ended its stream without an answer"):
        await Unfinished().chat(QUESTION)


async def test_text_held_back_for_what_it_might_become_is_shown_at_the_end() -> None:
    pieces = [TextChunk("It is done.\nAct"), ChatReply(text="It is done.\nAct")]
    provider = ReactProvider(ScriptedProvider([pieces]), mode="react")
    *texts, reply = [chunk async for chunk in provider.chat_stream(QUESTION)]
    shown = "".join(chunk.text for chunk in texts if isinstance(chunk, TextChunk))
    assert shown == "It is done.\nAct"
    assert isinstance(reply, ChatReply)
    assert reply.text == shown


def test_results_are_told_before_the_words_that_follow_them() -> None:
    call = ToolCall(id="c1", name="sql", arguments="{}")
    asked = spelled_out(
        ChatRequest(
            model="m",
            messages=(
                ChatMessage(role="user", content="How many?"),
                ChatMessage(role="assistant", content="", tool_calls=(call,)),
                ChatMessage(role="tool", content="6 rows", tool_call_id="c1"),
                ChatMessage(role="user", content="And now?"),
            ),
            tools=(SQL,),
        )
    )
    told = [(message.role, message.content) for message in asked.messages[-2:]]
    assert told == [("user", "Observation (sql): 6 rows"), ("user", "And now?")]


def test_arguments_that_are_no_json_are_handed_on_for_the_tool_to_refuse() -> None:
    (call,) = read_calls("Action: sql\nArguments: SELECT 1")
    assert (call.name, call.arguments) == ("sql", "SELECT 1")


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        ("a note", None),
        ({"input_cost_per_token": 1e-6}, None),
        ({"input_cost_per_token": 0, "output_cost_per_token": 0}, None),
        ({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, (1e-6, 2e-6)),
    ],
)
def test_a_price_is_two_numbers_of_which_one_is_not_nothing(
    entry: object, pair: tuple[float, float] | None
) -> None:
    assert price_pair(entry) == pair


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "image"}, "odd", {"type": "text"}], "a"),
        (None, ""),
        (7, ""),
    ],
)
def test_the_text_of_a_content_is_its_text_parts(content: object, text: str) -> None:
    assert text_of(content) == text


def test_a_schema_of_other_collections_is_written_and_of_other_things_refused() -> None:
    assert plain(ToolMapping()) == {"type": "object"}
    assert plain(("a", "b")) == ["a", "b"]
    with pytest.raises(TypeError, match="a complex has no place in a tool's schema"):
        plain(1j)


class ToolMapping(dict[str, str]):
    """A mapping that is no plain dict."""

    def __init__(self) -> None:
        super().__init__(type="object")
