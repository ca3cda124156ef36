"""What the native provider does beyond the contract all providers share."""

import asyncio
import base64
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from databot.providers.openai import OpenAIProvider
from databot.testing import model_faults as fault
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Raw, Say
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk
from databot.types.errors import (
    ConfigError,
    ProviderBadResponse,
    ProviderError,
    ProviderTimeout,
    ProviderUnreachable,
    describe,
)

QUESTION = ChatRequest(
    model="test-model",
    messages=(ChatMessage(role="user", content="Hello?"),),
    timeout_s=20,
)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(60), ModelServer() as running:
        yield running


@pytest.fixture
async def provider(server: ModelServer) -> AsyncIterator[OpenAIProvider]:
    async with OpenAIProvider(api_base=server.url) as opened:
        yield opened


async def last(provider: OpenAIProvider, request: ChatRequest = QUESTION) -> ChatReply:
    reply = [chunk async for chunk in provider.chat_stream(request)][-1]
    assert isinstance(reply, ChatReply)
    return reply


@pytest.mark.parametrize("parameter", ["stream_options", "max_tokens", "temperature"])
async def test_a_refused_parameter_is_left_out_and_not_tried_again(
    provider: OpenAIProvider, server: ModelServer, parameter: str
) -> None:
    server.always(fault.refuses(parameter, Say(text="fine")))
    assert (await last(provider)).text == "fine"
    assert (await last(provider)).text == "fine"
    assert [parameter in request.body for request in server.requests] == [True, False, False]


async def test_a_server_that_refuses_both_names_of_the_limit_is_called_without(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    new = fault.refuses("max_completion_tokens", Say(text="fine"))
    old = fault.refuses("max_tokens", Say(text="never"))
    server.always(lambda body: old(body) if "max_tokens" in body else new(body))
    assert (await provider.chat(QUESTION)).text == "fine"
    assert not {"max_tokens", "max_completion_tokens"} & set(server.requests[-1].body)


async def test_one_read_gives_at_most_one_piece_of_text(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    events = b"".join(
        b'data: {"choices":[{"index":0,"delta":{"content":"%d "}}]}\n\n' % n for n in range(500)
    )
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    server.script(Raw(stream_body=events + end))
    chunks = [chunk async for chunk in provider.chat_stream(QUESTION)]
    assert len(chunks) < 50
    assert chunks[-1] == ChatReply(text="".join(f"{n} " for n in range(500)), model="test-model")


async def test_a_byte_at_a_time_is_read_like_any_other_stream(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(Say(text="schön, nicht wahr?", drip_bytes=1))
    assert (await last(provider)).text == "schön, nicht wahr?"


async def test_bytes_that_never_make_an_event_are_silence(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(Say(text="x" * 5000, drip_bytes=1, drip_s=0.02))
    with pytest.raises(ProviderTimeout):
        await last(provider, replace(QUESTION, timeout_s=0.2))


async def test_what_matters_came_before_the_cut(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(Say(text="all of it", cut="usage"), Say(text="all of it", done=False))
    assert (await last(provider)).text == "all of it"
    assert (await last(provider)).text == "all of it"


async def test_an_end_that_was_announced_needs_no_reason(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(Say(text="all of it", finish_reason=""))
    assert (await last(provider)).text == "all of it"


async def test_a_stream_that_just_stops_is_a_cut_answer(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(Say(text="half of", finish_reason="", done=False))
    with pytest.raises(ProviderUnreachable, match="before the end"):
        await last(provider)


async def test_bytes_that_are_not_utf8_do_not_stop_the_answer(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(fault.invalid_utf8(), fault.invalid_utf8())
    assert (await last(provider)).text == "caf\ufffd"
    assert (await provider.chat(QUESTION)).text == "caf\ufffd"


async def test_an_answer_without_bound_is_dropped(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(fault.huge_token(), fault.huge_token())
    for streamed in (True, False):
        with pytest.raises(ProviderBadResponse, match="more than"):
            await (last(provider) if streamed else provider.chat(QUESTION))


async def test_a_server_that_ignores_streaming_is_still_an_answer(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    body = b'{"choices":[{"message":{"content":"whole"},"finish_reason":"stop"}]}'
    server.script(Raw(body=body))
    chunks = [chunk async for chunk in provider.chat_stream(QUESTION)]
    assert chunks[0] == TextChunk("whole")
    assert len(chunks) == 2


async def test_a_redirect_is_not_followed_with_the_key(
    provider: OpenAIProvider, server: ModelServer
) -> None:
    server.script(Raw(status=307, headers=(("Location", server.url + "/elsewhere"),)))
    with pytest.raises(ProviderBadResponse):
        await provider.chat(QUESTION)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "base",
    [
        "localhost:8000",
        "ftp://host/v1",
        "http://",
        "http://user:pw@host/v1",
        "http://:pw@host/v1",
        "http://host/v1?key=pw",
        "http://host:pw/v1",
        "not a url",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(base: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIProvider(api_base=base)
    assert "pw" not in describe(caught.value)


def test_without_an_address_it_is_openai_itself() -> None:
    assert OpenAIProvider().name == "api.openai.com"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxys_password_reaches_the_proxy_and_no_log(scheme: str) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    heard: list[bytes] = []
    async with raw_server(refusal, heard) as host:
        proxy = f"http://someone:s3cret-pw@{host}"
        base = f"{scheme}://api.example/v1"
        async with OpenAIProvider(api_base=base, api_key="k", proxy=proxy) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.chat(QUESTION)
    shown = "".join(traceback.format_exception(caught.value))
    encoded = base64.b64encode(b"someone:s3cret-pw")
    assert "s3cret-pw" not in shown
    assert encoded.decode() not in shown
    assert b"Proxy-Authorization: Basic " + encoded in heard[0]


async def test_a_proxy_without_a_password_is_asked_without() -> None:
    heard: list[bytes] = []
    async with raw_server(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", heard) as host:
        base = "http://api.example/v1"
        async with OpenAIProvider(api_base=base, proxy=f"http://{host}") as provider:
            with pytest.raises(ProviderError):
                await provider.chat(QUESTION)
    assert heard[0].startswith(b"POST http://api.example/v1/chat/completions ")
    assert b"Proxy-Authorization" not in heard[0]


async def test_a_stream_longer_than_any_is_dropped(server: ModelServer) -> None:
    token = b'data: {"choices":[{"index":0,"delta":{"content":""},"pad":"%s"}]}\n\n' % (
        b"x" * 99_000
    )
    endless = Raw(body=token, content_type="text/event-stream", forever=token * 40)
    server.script(endless)
    async with OpenAIProvider(api_base=server.url) as provider:
        with pytest.raises(ProviderBadResponse, match="more than 128 MB"):
            await last(provider)
    await server.until(abandoned=1)


async def test_a_host_that_does_not_exist_is_named() -> None:
    async with OpenAIProvider(api_base="http://no-such-host.invalid/v1") as provider:
        with pytest.raises(ProviderUnreachable, match=r"no-such-host\.invalid"):
            await provider.chat(QUESTION)


@asynccontextmanager
async def raw_server(said: bytes, heard: list[bytes] | None = None) -> AsyncGenerator[str]:
    """A server that says these bytes to whoever connects, and hangs up; `heard` gets what it was told."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = await reader.read(4096)
        if heard is not None:
            heard.append(told)
        writer.write(said)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with asyncio.timeout(30), server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("said", "expected", "words"),
    [
        (b"220 mail.example ESMTP\r\n", ProviderBadResponse, "not HTTP"),
        (b"", ProviderUnreachable, "closed the connection"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 90\r\n\r\nhalf", ProviderUnreachable, "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ProviderError, "answer"),
    ],
)
async def test_a_server_that_is_none_is_told_apart(
    said: bytes, expected: type[ProviderError], words: str, streamed: bool
) -> None:
    async with raw_server(said) as host, OpenAIProvider(api_base=f"http://{host}/v1") as provider:
        with pytest.raises(expected, match=words) as caught:
            await (last(provider) if streamed else provider.chat(QUESTION))
    assert host in str(caught.value)


async def test_https_to_a_server_without_it_says_so() -> None:
    async with (
        raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as host,
        OpenAIProvider(api_base=f"https://{host}/v1") as provider,
    ):
        with pytest.raises(ProviderUnreachable, match="TLS") as caught:
            await provider.chat(QUESTION)
    assert "https" in caught.value.hint


async def test_every_call_beyond_the_bound_waits_and_is_given_up_in_time(
    server: ModelServer,
) -> None:
    server.script(fault.never_answers())
    async with (
        OpenAIProvider(api_base=server.url, max_connections=1) as provider,
        asyncio.TaskGroup() as group,
    ):
        first = group.create_task(provider.chat(QUESTION))
        await server.until(active=1)
        with pytest.raises(ProviderUnreachable, match="no connection in time"):
            await last(provider, replace(QUESTION, timeout_s=0.2))
        first.cancel()
