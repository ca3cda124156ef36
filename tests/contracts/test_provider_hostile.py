"""Whatever a vendor sends, and through whichever door, it is one clear error, bounded, and the key stays here."""

import asyncio
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from databot.providers.base import LLMProvider
from databot.providers.litellm import LiteLLMProvider
from databot.providers.openai import OpenAIProvider
from databot.testing import model_faults as fault
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Raw, Say
from databot.types.chat import ChatMessage, ChatReply, ChatRequest
from databot.types.errors import (
    ContextOverflow,
    ProviderBadResponse,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnreachable,
    describe,
)

# Not ours to mend: how LiteLLM uses pydantic.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Items? '.*on TypedDict:UserWarning"),
]

KEY = "canary-without-a-prefix-7f3a"
NATIVE = "test-model"
OPENAI = "openai/test-model"
OTHERS = (
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "ollama/llama3",
    "ollama_chat/llama3",
    "azure/gpt-4o",
    "cohere_chat/command-r",
    "databricks/dbrx",
)


@dataclass(frozen=True)
class Door:
    """One way to ask a vendor: a provider and a model, streamed or whole."""

    provider: LLMProvider
    model: str
    streamed: bool

    async def ask(self, *, timeout_s: float = 20.0) -> ChatReply:
        question = ChatRequest(
            model=self.model,
            messages=(ChatMessage(role="user", content="How many orders?"),),
            timeout_s=timeout_s,
        )
        if not self.streamed:
            return await self.provider.chat(question)
        stream = self.provider.chat_stream(question)
        async with aclosing(stream):  # type: ignore[type-var] - our providers yield from generators
            last = [chunk async for chunk in stream][-1]
        assert isinstance(last, ChatReply)
        return last


def provider_of(model: str, origin: str) -> LLMProvider:
    if model == NATIVE:
        return OpenAIProvider(api_base=f"{origin}/v1", api_key=KEY)
    base = f"{origin}/v1" if model == OPENAI else origin
    return LiteLLMProvider(api_base=base, api_key=KEY)


@asynccontextmanager
async def door_to(
    origin: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Door]:
    model, streamed = request.param
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    provider = provider_of(model, origin)
    await asyncio.to_thread(provider.warm)
    async with provider:
        yield Door(provider, model, streamed)


def doors(*models: str, streamed: tuple[bool, ...] = (True, False)) -> pytest.MarkDecorator:
    params = [
        pytest.param((model, each), id=f"{model}-{'streamed' if each else 'whole'}")
        for model in models
        for each in streamed
    ]
    return pytest.mark.parametrize("door", params, indirect=True)


EVERY = doors(NATIVE, OPENAI, *OTHERS)
BOTH = doors(NATIVE, OPENAI)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(60), ModelServer(any_path=True) as running:
        yield running


@pytest.fixture
async def door(
    server: ModelServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    async with door_to(server.origin, request, monkeypatch) as opened:
        yield opened


# Errors


@EVERY
async def test_an_error_that_never_ends_is_that_error(door: Door, server: ModelServer) -> None:
    server.script(fault.endless(429))
    with pytest.raises(ProviderRateLimited):
        await door.ask()
    await server.until(abandoned=1)


@BOTH
async def test_an_error_that_comes_a_letter_at_a_time_is_not_waited_for(
    door: Door, server: ModelServer
) -> None:
    server.script(fault.endless(429, drip_s=0.01))
    with pytest.raises(ProviderRateLimited):
        await door.ask()
    await server.until(abandoned=1)


WORDS = (
    "-----BEGIN PRIVATE KEY-----",
    "://a:",
    "x",
    "the model sk-abcdef api_key=foo not ",
    '{"type": "service_account"',
)


@EVERY
async def test_others_are_served_while_a_vendor_repeats_itself(
    door: Door, server: ModelServer
) -> None:
    """LiteLLM looked for keys in all of it, which took minutes of the event loop for some of these words."""
    server.always(Say(text="still here"))
    async with OpenAIProvider(api_base=server.url) as other:
        for words in WORDS:
            server.script(fault.repeats(words))
            with pytest.raises(ProviderBadResponse) as caught:
                await door.ask()
            assert len("".join(traceback.format_exception(caught.value))) < 10_000
            assert (await Door(other, NATIVE, streamed=False).ask()).text == "still here"


@BOTH
async def test_an_error_that_repeats_the_prompt_is_still_understood(
    door: Door, server: ModelServer
) -> None:
    words = "This model's maximum context length is 8192 tokens. You sent: "
    server.script(fault.error(400, words + "lorem ipsum " * 20_000))
    with pytest.raises(ContextOverflow):
        await door.ask()


@EVERY
async def test_a_key_that_an_error_repeats_reaches_neither_people_nor_logs(
    door: Door, server: ModelServer
) -> None:
    told = f"you sent Authorization: Bearer {KEY}, x-api-key: {KEY}, ?key={KEY}&alt=sse"
    server.script(fault.error(400, told))
    with pytest.raises(ProviderError) as caught:
        await door.ask()
    shown = describe(caught.value) + "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert "[key]" in shown


@BOTH
async def test_a_key_that_an_error_inside_an_answer_repeats_is_hidden_too(
    door: Door, server: ModelServer
) -> None:
    server.script(fault.error_in_stream(f"upstream refused {KEY}"))
    with pytest.raises(ProviderError) as caught:
        await door.ask()
    assert KEY not in "".join(traceback.format_exception(caught.value))


@EVERY
async def test_a_redirect_is_not_followed(door: Door, server: ModelServer) -> None:
    async with ModelServer(any_path=True) as elsewhere:
        for status in (301, 302, 307, 308):
            server.script(fault.redirect(f"{elsewhere.origin}/v1/chat/completions", status))
            with pytest.raises(ProviderBadResponse, match=f"no chat completions.*{status}"):
                await door.ask()
        assert elsewhere.requests == []


# Answers


@EVERY
async def test_an_answer_that_never_ends_is_dropped(door: Door, server: ModelServer) -> None:
    server.script(fault.endless())
    with pytest.raises(ProviderBadResponse, match="more than 8 MB"):
        await door.ask()
    await server.until(abandoned=1)


@BOTH
async def test_an_answer_that_comes_a_letter_at_a_time_is_given_up(
    door: Door, server: ModelServer
) -> None:
    server.script(fault.endless(drip_s=0.01))
    with pytest.raises(ProviderTimeout):
        await door.ask(timeout_s=0.3)
    await server.until(abandoned=1)


@doors(OPENAI, *OTHERS, streamed=(True,))
async def test_an_event_that_never_ends_is_dropped(door: Door, server: ModelServer) -> None:
    raw = fault.endless_line()
    lines = Raw(body=raw.body, content_type="text/event-stream", forever=raw.forever)
    server.script(lines)
    with pytest.raises(ProviderBadResponse, match="more than 4 MB"):
        await door.ask()


@EVERY
async def test_a_small_body_cannot_become_a_huge_one(door: Door, server: ModelServer) -> None:
    server.script(fault.bomb(size=30_000_000))
    with pytest.raises(ProviderBadResponse, match="more than 8 MB"):
        await door.ask()
    server.script(fault.bomb(400, size=30_000_000))
    with pytest.raises(ProviderBadResponse):
        await door.ask()


@BOTH
@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "rot13"])
async def test_a_body_that_cannot_be_decompressed_is_a_bad_answer(
    door: Door, server: ModelServer, encoding: str
) -> None:
    broken = fault.bomb(encoding=encoding)
    server.script(Raw(body=b"\x1b" + broken.body, headers=broken.headers))
    with pytest.raises(ProviderBadResponse):
        await door.ask()


@EVERY
async def test_a_body_of_another_type_is_a_bad_answer(door: Door, server: ModelServer) -> None:
    for raw in (
        Raw(body=b"\x89PNG\r\n\x1a\n" + b"\x00" * 500, content_type="image/png"),
        Raw(body=fault.PAGE, content_type="text/html"),
        Raw(body=b"", content_type="application/json"),
    ):
        server.script(raw)
        with pytest.raises(ProviderError) as caught:
            await door.ask()
        assert caught.value.hint


# Below HTTP

Script = Callable[[], AsyncIterator[bytes]]


async def endless_headers() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(1_000_000):
        yield b"X-%d: more\r\n" % number


async def one_endless_header() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    while True:
        yield b"more " * 1000


async def dripping_headers() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Slow: "
    while True:
        await asyncio.sleep(0.02)
        yield b"."


async def cut_chunk() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield b'40\r\ndata: {"choices":[{"index":0,"delta":{"content":"hel'


async def no_chunk() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield b"zz\r\nwhat?\r\n"


@asynccontextmanager
async def wire(script: Script) -> AsyncGenerator[str]:
    """A server that sends what `script` yields, until the client is gone."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                async for data in script():
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(0)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        server = await asyncio.start_server(
            lambda reader, writer: tasks.append(group.create_task(handle(reader, writer))),
            "127.0.0.1",
            0,
        )
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in tasks:
            task.cancel()


@pytest.fixture
async def wired(
    script: Script, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    async with wire(script) as origin, door_to(origin, request, monkeypatch) as opened:
        yield opened


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (endless_headers, ProviderBadResponse),
        (one_endless_header, ProviderBadResponse),
        (dripping_headers, ProviderTimeout),
        (cut_chunk, ProviderUnreachable),
        (no_chunk, ProviderBadResponse),
    ],
)
@pytest.mark.parametrize(
    "wired",
    [(NATIVE, True), (NATIVE, False), (OPENAI, True), (OPENAI, False)],
    ids=str,
    indirect=True,
)
async def test_http_that_never_gets_anywhere_is_given_up(
    wired: Door, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected):
        await wired.ask(timeout_s=0.5)
