"""Looking for running models finds them, or nothing, and never fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from databot.providers.discover import ollama_models, served_models
from databot.testing.model_server import ModelServer

NAMES = ("nomic-embed-text:latest", "llama3.2:latest", "qwen3:8b")


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(30), ModelServer(models=NAMES) as running:
        yield running


async def test_chat_models_are_found_and_embedding_models_are_not(server: ModelServer) -> None:
    url = server.url.removesuffix("/v1")
    assert await ollama_models(url, timeout_s=10) == NAMES[1:]
    assert await served_models(server.url, timeout_s=10) == NAMES[1:]


async def test_a_server_with_a_key_lists_its_models_to_whoever_has_it() -> None:
    async with ModelServer(key="sk-right") as server:
        assert await served_models(server.url, "sk-right", timeout_s=10) == ("test-model",)
        assert await served_models(server.url, "sk-wrong", timeout_s=10) == ()


async def test_nothing_there_is_nothing_found(server: ModelServer) -> None:
    assert await ollama_models(server.url, timeout_s=10) == ()
    await server.__aexit__(None, None, None)
    assert await ollama_models(server.url.removesuffix("/v1"), timeout_s=10) == ()


async def test_something_that_says_nothing_is_given_up() -> None:
    server = await asyncio.start_server(lambda _r, w: held.append(w), "127.0.0.1", 0)
    held: list[asyncio.StreamWriter] = []
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(10), server:
        assert await ollama_models(f"http://127.0.0.1:{port}", timeout_s=0.1) == ()
        for writer in held:
            writer.close()
            await writer.wait_closed()


async def test_a_long_list_is_read_to_its_end() -> None:
    names = tuple(f"vendor/model-{number}-{'x' * 60}" for number in range(3000))
    async with asyncio.timeout(30), ModelServer(models=names) as server:
        assert await served_models(server.url, timeout_s=10) == names


@pytest.mark.parametrize("said", [b"[1, 2]", b"{broken", b'{"data": 7}', b'{"data": [7, {}]}'])
async def test_a_list_that_is_none_is_nothing_found(said: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(said)
        writer.write(head + said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with asyncio.timeout(30), server:
        port = server.sockets[0].getsockname()[1]
        assert await served_models(f"http://127.0.0.1:{port}/v1", timeout_s=10) == ()
