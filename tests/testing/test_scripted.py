"""The scripted provider says what it was told to say."""

import asyncio
from contextlib import aclosing

import pytest

from databot.testing.scripted import ScriptedProvider, calling
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk
from databot.types.errors import ProviderBadResponse, ProviderRateLimited

QUESTION = ChatRequest(model="m", messages=(ChatMessage(role="user", content="Hello?"),))


async def test_answers_come_in_the_order_of_the_script_and_requests_are_kept() -> None:
    provider = ScriptedProvider(["first", calling("sql", '{"q": 1}')])
    assert (await provider.chat(QUESTION)).text == "first"
    reply = await provider.chat(QUESTION)
    assert [call.name for call in reply.tool_calls] == ["sql"]
    assert provider.requests == [QUESTION, QUESTION]


async def test_a_text_is_streamed_in_words_that_add_up_to_it() -> None:
    chunks = [chunk async for chunk in ScriptedProvider(["one  two\nthree"]).chat_stream(QUESTION)]
    assert [chunk.text for chunk in chunks[:-1]] == ["one  ", "two\n", "three"]
    assert chunks[-1] == ChatReply(text="one  two\nthree")


async def test_a_call_beyond_the_script_fails_and_says_which_call_it_was() -> None:
    provider = ScriptedProvider(["only"])
    await provider.chat(QUESTION)
    with pytest.raises(ProviderBadResponse, match="no answer for call 2"):
        await provider.chat(QUESTION)


async def test_an_answer_may_be_computed_from_the_request() -> None:
    provider = ScriptedProvider(lambda request: request.messages[-1].content.upper())
    assert (await provider.chat(QUESTION)).text == "HELLO?"


async def test_an_error_may_come_in_the_middle_of_a_stream() -> None:
    provider = ScriptedProvider([[TextChunk("Hel"), ProviderRateLimited("too fast")]])
    async with aclosing(provider.chat_stream(QUESTION)) as stream:
        assert await anext(stream) == TextChunk("Hel")
        with pytest.raises(ProviderRateLimited):
            await anext(stream)


async def test_a_paused_model_can_be_left_and_counts_as_closed() -> None:
    reached = asyncio.Event()

    async def hold() -> None:
        reached.set()
        await asyncio.Event().wait()

    provider = ScriptedProvider(["one two"], pause=hold)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(provider.chat(QUESTION))
        await reached.wait()
        task.cancel()
    assert (provider.active, provider.closed) == (0, 1)


async def test_leaving_the_stream_after_its_reply_is_not_leaving_early() -> None:
    provider = ScriptedProvider(["one"])
    async with aclosing(provider.chat_stream(QUESTION)) as stream:
        async for _ in stream:
            pass
    assert (provider.active, provider.closed) == (0, 0)
