"""Every provider keeps the contract: the same stream, the same errors, and nothing left open."""

import asyncio
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import pytest

from databot.providers.base import LLMProvider
from databot.providers.errors import ToolsUnsupported
from databot.providers.litellm import LiteLLMProvider
from databot.providers.offline.provider import OfflineProvider
from databot.providers.openai import OpenAIProvider
from databot.providers.streams import ChunkStream
from databot.testing import model_faults as fault
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Answer, Answerer, Say
from databot.testing.scripted import ScriptedProvider
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk, ToolCall, ToolSpec
from databot.types.errors import (
    ContextOverflow,
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    UnknownModel,
    describe,
)

# LiteLLM reads pydantic's fields in a way pydantic is about to drop; it is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning")

SECRET = "sk-secret-canary-0123456789"
SQL = ToolSpec(
    name="sql",
    description="Run a query.",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}},
)
CALL = ToolCall(id="call_a", name="sql", arguments='{"query": "select 1"}')
LONG = "Twelve orders came in yesterday, three more than the day before.\n\n| a | b |\n"


@dataclass
class Door:
    """One provider under test: `says` scripts the next answers."""

    provider: LLMProvider
    model: str
    server: ModelServer | None = None
    script: deque[Say] = field(default_factory=deque[Say])

    def says(self, *answers: Say) -> None:
        if self.server is not None:
            self.server.script(*answers)
        self.script.extend(answers)

    def request(self, *, tools: bool = False, timeout_s: float = 20.0) -> ChatRequest:
        return ChatRequest(
            model=self.model,
            messages=(
                ChatMessage(role="system", content="You are databot."),
                ChatMessage(role="user", content="How many orders yesterday?"),
            ),
            tools=(SQL,) if tools else (),
            timeout_s=timeout_s,
        )

    def stream(self, request: ChatRequest) -> ChunkStream:
        stream = self.provider.chat_stream(request)
        assert hasattr(stream, "aclose")
        return stream  # type: ignore[return-value] - checked above


Maker = Callable[[ModelServer], Door]


def openai_door(server: ModelServer) -> Door:
    return Door(OpenAIProvider(api_base=server.url, api_key=SECRET), "test-model", server)


def litellm_door(server: ModelServer) -> Door:
    provider = LiteLLMProvider(api_base=server.url, api_key=SECRET)
    return Door(provider, "openai/test-model", server)


def scripted_door(_: ModelServer) -> Door:
    door = Door(ScriptedProvider(), "scripted")

    def answer(_: ChatRequest) -> ChatReply:
        say = door.script.popleft()
        return ChatReply(text=say.text, tool_calls=say.calls)

    door.provider = ScriptedProvider(answer)
    return door


HTTP: list[Maker] = [openai_door, litellm_door]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(90), ModelServer() as running:
        yield running


@pytest.fixture(params=[*HTTP, scripted_door])
async def door(request: pytest.FixtureRequest, server: ModelServer) -> AsyncIterator[Door]:
    made: Door = request.param(server)
    await asyncio.to_thread(made.provider.warm)
    async with made.provider:
        yield made


@pytest.fixture(params=HTTP)
async def http(request: pytest.FixtureRequest, server: ModelServer) -> AsyncIterator[Door]:
    made: Door = request.param(server)
    await asyncio.to_thread(made.provider.warm)
    async with made.provider:
        yield made


async def test_a_stream_is_text_that_adds_up_to_the_reply_that_ends_it(door: Door) -> None:
    door.says(Say(text=LONG))
    chunks = [chunk async for chunk in door.provider.chat_stream(door.request())]
    *texts, reply = chunks
    assert isinstance(reply, ChatReply)
    assert "".join(c.text for c in texts if isinstance(c, TextChunk)) == reply.text == LONG
    assert reply.finish_reason == "stop"


async def test_the_plain_answer_is_the_fold_of_the_stream(door: Door) -> None:
    door.says(Say(text=LONG, calls=(CALL,)), Say(text=LONG, calls=(CALL,)))
    request = door.request(tools=True)
    async with aclosing(door.stream(request)) as stream:
        last = [chunk async for chunk in stream][-1]
    assert await door.provider.chat(request) == last


@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
async def test_tool_calls_count_whatever_the_vendor_calls_the_end(door: Door, reason: str) -> None:
    second = replace(CALL, id="call_b")
    for streamed in (True, False):
        door.says(Say(calls=(CALL, second), finish_reason=reason))
        if streamed:
            chunks = [c async for c in door.provider.chat_stream(door.request(tools=True))]
            reply = chunks[-1]
        else:
            reply = await door.provider.chat(door.request(tools=True))
        assert isinstance(reply, ChatReply)
        assert reply.tool_calls == (CALL, second)
        assert reply.finish_reason == "tool_calls"


async def test_an_empty_conversation_of_tools_is_sent_back_in_the_protocols_words(
    http: Door, server: ModelServer
) -> None:
    request = replace(
        http.request(tools=True),
        messages=(
            ChatMessage(role="user", content="How many?"),
            ChatMessage(role="assistant", content="", tool_calls=(CALL,)),
            ChatMessage(role="tool", content="12", tool_call_id=CALL.id, name="sql"),
        ),
    )
    http.says(Say(text="Twelve."))
    assert (await http.provider.chat(request)).text == "Twelve."
    sent = server.requests[-1].body
    assert sent["model"] == "test-model"
    assert sent["messages"][1]["tool_calls"][0]["function"]["arguments"] == CALL.arguments
    assert sent["messages"][2]["tool_call_id"] == CALL.id
    assert sent["tools"][0]["function"]["parameters"] == SQL.parameters
    assert server.requests[-1].headers["Authorization"] == f"Bearer {SECRET}"


async def test_tokens_are_counted_streamed_and_whole(http: Door) -> None:
    http.says(Say(text="hi", usage=(120, 7)), Say(text="hi", usage=(120, 7)))
    chunks = [chunk async for chunk in http.provider.chat_stream(http.request())]
    for reply in (chunks[-1], await http.provider.chat(http.request())):
        assert isinstance(reply, ChatReply)
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (120, 7)


async def test_an_answer_nobody_watches_is_the_same_answer(http: Door) -> None:
    http.says(Say(text="Twelve orders."), Say(calls=(CALL,)))
    unwatched = replace(http.request(), stream=False)
    *texts, reply = [chunk async for chunk in http.provider.chat_stream(unwatched)]
    assert isinstance(reply, ChatReply)
    said = "".join(chunk.text for chunk in texts if isinstance(chunk, TextChunk))
    assert said == reply.text == "Twelve orders."
    calling = replace(http.request(tools=True), stream=False)
    chunks = [chunk async for chunk in http.provider.chat_stream(calling)]
    assert isinstance(chunks[-1], ChatReply)
    assert chunks[-1].tool_calls[0].name == CALL.name


async def test_duplicate_call_ids_become_different_ones(http: Door) -> None:
    http.says(Say(calls=(CALL, CALL)), Say(calls=(CALL, CALL)))
    request = http.request(tools=True)
    chunks = [chunk async for chunk in http.provider.chat_stream(request)]
    for reply in (chunks[-1], await http.provider.chat(request)):
        assert isinstance(reply, ChatReply)
        assert [call.id for call in reply.tool_calls] == ["call_a", "call_a_2"]
        assert {call.arguments for call in reply.tool_calls} == {CALL.arguments}


async def test_an_invented_tool_is_handed_on_for_the_loop_to_refuse(http: Door) -> None:
    http.says(Say(calls=(replace(CALL, name="launch_missiles"),)))
    chunks = [chunk async for chunk in http.provider.chat_stream(http.request(tools=True))]
    assert isinstance(chunks[-1], ChatReply)
    assert chunks[-1].tool_calls[0].name == "launch_missiles"


FAULTS: dict[str, tuple[Answer | Answerer, type[ProviderError]]] = {
    "rate limit": (fault.rate_limited(), ProviderRateLimited),
    "rate limit with a wish": (fault.rate_limited("3"), ProviderRateLimited),
    "server error": (fault.server_error(500), ProviderUnavailable),
    "overloaded": (fault.server_error(503), ProviderUnavailable),
    "wrong key": (fault.wrong_key(), ProviderAuthFailed),
    "unknown model": (fault.unknown_model(), UnknownModel),
    "context overflow": (fault.context_overflow(), ContextOverflow),
    "no tools": (fault.refuses_tools(Say(text="never")), ToolsUnsupported),
    "web page": (fault.web_page(), ProviderBadResponse),
    "web page not found": (fault.web_page(404), ProviderBadResponse),
    "empty choices": (fault.empty_choices(), ProviderBadResponse),
    "malformed JSON": (fault.malformed_json(), ProviderBadResponse),
    "error inside a 200": (fault.error_in_stream(), ProviderUnavailable),
    "cut in text": (Say(text=LONG, cut="text"), ProviderUnreachable),
    "cut in a tool call": (Say(calls=(CALL,), cut="tool"), ProviderUnreachable),
}


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", FAULTS)
async def test_every_fault_has_its_error_and_the_next_call_works(
    http: Door, server: ModelServer, name: str, streamed: bool
) -> None:
    answer, expected = FAULTS[name]
    server.script(answer)
    request = http.request(tools=True)
    with pytest.raises(expected) as caught:
        await ask(http, request, streamed=streamed)
    line = describe(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    assert caught.value.hint
    http.says(Say(text="fine again"))
    assert (await ask(http, request, streamed=streamed)).text == "fine again"


async def ask(door: Door, request: ChatRequest, *, streamed: bool) -> ChatReply:
    if not streamed:
        return await door.provider.chat(request)
    async with aclosing(door.stream(request)) as stream:
        last = [chunk async for chunk in stream][-1]
    assert isinstance(last, ChatReply)
    return last


async def test_the_vendors_wish_to_wait_is_carried(http: Door, server: ModelServer) -> None:
    server.script(fault.rate_limited("3"))
    with pytest.raises(ProviderRateLimited) as caught:
        await http.provider.chat(http.request())
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize("held", [0, 2], ids=["before the first token", "between tokens"])
async def test_a_silent_server_is_given_up_within_the_time_limit(http: Door, held: int) -> None:
    http.says(Say(text="one two three", hold_after=held))
    with pytest.raises(ProviderTimeout, match=r"0\.3 s"):
        await ask(http, http.request(timeout_s=0.3), streamed=True)


async def test_a_whole_answer_that_never_comes_is_given_up(http: Door) -> None:
    http.says(fault.never_answers())
    with pytest.raises(ProviderTimeout):
        await http.provider.chat(http.request(timeout_s=0.3))


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_an_unreachable_host_is_named_without_the_key(
    http: Door, server: ModelServer, streamed: bool
) -> None:
    await server.__aexit__(None, None, None)
    with pytest.raises(ProviderUnreachable, match="cannot reach") as caught:
        await ask(http, http.request(), streamed=streamed)
    assert SECRET not in repr(caught.value)


async def test_leaving_a_stream_closes_the_call_at_the_vendor(
    http: Door, server: ModelServer
) -> None:
    http.says(Say(text="one two three", hold_after=3))
    async with aclosing(http.stream(http.request())) as stream:
        assert isinstance(await anext(stream), TextChunk)
        assert server.active == 1
    await server.until(abandoned=1)
    assert server.active == 0


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_cancelling_closes_the_call_at_the_vendor(
    http: Door, server: ModelServer, streamed: bool
) -> None:
    http.says(fault.never_answers())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask(http, http.request(), streamed=streamed))
        await server.until(active=1)
        task.cancel()
    assert task.cancelled()
    await server.until(abandoned=1)


async def test_fifty_calls_at_once_do_not_disturb_each_other(
    http: Door, server: ModelServer
) -> None:
    def echo(body: object) -> Say:
        assert isinstance(body, dict)
        return Say(text=str(body["messages"][-1]["content"]))

    server.always(echo)

    async def one(number: int) -> str:
        question = ChatMessage(role="user", content=f"question {number}")
        request = replace(http.request(), messages=(question,))
        return (await ask(http, request, streamed=bool(number % 2))).text

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(50)]
    assert [task.result() for task in tasks] == [f"question {n}" for n in range(50)]


async def test_one_connection_serves_call_after_call(http: Door, server: ModelServer) -> None:
    for number in range(6):
        http.says(Say(text="one two three", drip_s=0.001))
        assert await ask(http, http.request(), streamed=bool(number % 2))
    assert len({request.connection for request in server.requests}) == 1


async def test_a_provider_can_be_closed_twice_and_used_again(door: Door) -> None:
    door.says(Say(text="before"), Say(text="after"))
    assert (await door.provider.chat(door.request())).text == "before"
    await door.provider.aclose()
    await door.provider.aclose()
    assert (await door.provider.chat(door.request())).text == "after"


def test_a_provider_never_shows_its_key() -> None:
    for make in (OpenAIProvider, LiteLLMProvider):
        provider = make(api_base="http://127.0.0.1:9/v1", api_key=SECRET)
        assert SECRET not in repr(provider) + provider.name


@pytest.mark.parametrize("key", [SECRET, "no-prefix-at-all-7f3a"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_a_key_the_vendor_repeats_reaches_no_log(
    http: Door, server: ModelServer, streamed: bool, key: str
) -> None:
    answer = fault.error(401, f"Invalid key: {key}")
    server.script(answer)
    async with type(http.provider)(api_base=server.url, api_key=key) as provider:  # type: ignore[call-arg] - both take these
        door = replace(http, provider=provider)
        with pytest.raises(ProviderAuthFailed) as caught:
            await ask(door, door.request(), streamed=streamed)
    assert key not in "".join(traceback.format_exception(caught.value))
    assert "Invalid key: [key]" in str(caught.value.__cause__)


@pytest.mark.parametrize("question", ["How many orders?", "What is the meaning of life?", ""])
async def test_the_offline_analyst_keeps_the_same_stream(question: str) -> None:
    async with OfflineProvider() as provider:
        door = Door(provider, "offline")
        asked = (ChatMessage(role="user", content=question),)
        for tools in (True, False):
            request = replace(door.request(tools=tools), messages=asked)
            *texts, reply = [chunk async for chunk in provider.chat_stream(request)]
            assert isinstance(reply, ChatReply)
            assert "".join(c.text for c in texts if isinstance(c, TextChunk)) == reply.text
            assert reply.text or reply.tool_calls
            assert await provider.chat(request) == reply
