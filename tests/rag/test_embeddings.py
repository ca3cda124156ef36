"""Embedders: ready only after preparing, off the loop, one vector for one question, clear errors."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from databot.providers.litellm import imported
from databot.rag import embeddings, model
from databot.rag.base import RetrievalError
from databot.rag.embeddings import LiteLLMEmbedder, LocalEmbedder
from databot.types.errors import describe
from tests.rag.kit import WAIT_S

SECRET = "sk-secret-that-must-not-be-shown"
Handler = Callable[[web.Request], Awaitable[web.Response]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def local(model_home: Path) -> AsyncIterator[LocalEmbedder]:
    embedder = LocalEmbedder(model_home)
    await embedder.prepare()
    yield embedder
    await embedder.aclose()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts an embedding service from a handler and gives its base URL."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_post("/v1/embeddings", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/v1"))

    yield start
    for server in servers:
        await server.close()


def service(url: str) -> LiteLLMEmbedder:
    return LiteLLMEmbedder("openai/tiny", imported, api_base=url, api_key=SECRET, timeout_s=WAIT_S)


def answer(vectors: list[list[float]]) -> web.Response:
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return web.json_response({"object": "list", "model": "tiny", "data": data, "usage": usage})


async def test_before_preparing_the_local_embedder_says_that_it_is_not_ready(
    model_home: Path,
) -> None:
    embedder = LocalEmbedder(model_home)
    assert not embedder.ready
    with pytest.raises(RetrievalError, match="not ready"):
        await embedder.embed(["a question"])
    await embedder.aclose()


async def test_without_weights_preparing_fails_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "PACKAGE", "a_package_nobody_has")
    embedder = LocalEmbedder(tmp_path)
    with pytest.raises(RetrievalError) as caught:
        await embedder.prepare()
    assert "pip install" in describe(caught.value)
    assert not embedder.ready
    await embedder.aclose()


async def test_the_same_question_gets_the_same_vector(local: LocalEmbedder) -> None:
    first = await local.embed(["how many orders?"])
    again = await local.embed(["how many orders?"])
    assert first[0] is again[0]
    assert len(first[0]) == local.dimensions


async def test_vectors_of_old_questions_are_forgotten(
    local: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "QUERY_CACHE", 2)
    first = await local.embed(["one"])
    for question in ("two", "three"):
        await local.embed([question])
    assert (await local.embed(["one"]))[0] is not first[0]


async def test_building_and_embedding_leave_the_loop_free(model_home: Path, tmp_path: Path) -> None:
    """While the model is built and 64 long chunks are embedded, the loop keeps turning."""
    weights = model.find_weights(model_home)
    home = model.weights_dir(tmp_path)
    home.mkdir(parents=True)
    for name in model.SOURCE_HASHES:
        shutil.copyfile(weights / name, home / name)
    embedder = LocalEmbedder(tmp_path)
    turns = 0

    async def work() -> None:
        await embedder.prepare()
        await embedder.embed(
            [f"{n} " + "revenue is recognised on shipment " * 30 for n in range(64)]
        )

    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        task = group.create_task(work())
        while not task.done():
            turns += 1
            await asyncio.wait([task], timeout=0.01)
    assert turns > 20
    await embedder.aclose()


async def test_questions_are_answered_while_many_texts_are_embedded(local: LocalEmbedder) -> None:
    texts = [f"{n} " + "a long passage about shipping goods to customers " * 25 for n in range(96)]
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        bulk = group.create_task(local.embed(texts))
        for number in range(5):
            await local.embed([f"question {number}"])
        assert not bulk.done()
    assert len(bulk.result()) == 96


async def test_a_service_is_asked_in_batches_and_its_vectors_are_scaled(serve: Serve) -> None:
    sizes: list[int] = []

    async def handler(request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        sizes.append(len(body["input"]))
        return answer([[3.0, 4.0]] * len(body["input"]))

    embedder = service(await serve(handler))
    assert not embedder.ready
    await embedder.prepare()
    vectors = await embedder.embed([f"text {n}" for n in range(100)])
    assert embedder.dimensions == 2
    assert [[round(value, 6) for value in vector] for vector in vectors] == [[0.6, 0.8]] * 100
    assert sizes == [1, 64, 36]
    await embedder.aclose()


async def test_a_question_asked_twice_at_once_is_sent_once(serve: Serve) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.extend((await request.json())["input"])
        return answer([[0.6, 0.8]])

    embedder = service(await serve(handler))
    await embedder.prepare()
    first, second = await asyncio.gather(embedder.embed(["orders?"]), embedder.embed(["orders?"]))
    assert first == second
    assert asked.count("orders?") == 1
    await embedder.aclose()


async def test_a_refused_key_is_an_error_without_the_key(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        message = f"Incorrect API key {request.headers['Authorization']}"
        return web.json_response({"error": {"message": message}}, status=401)

    embedder = service(await serve(handler))
    with pytest.raises(RetrievalError) as caught:
        await embedder.prepare()
    line = describe(caught.value)
    assert "openai/tiny" in line
    assert "AuthenticationError" in line
    assert SECRET not in line
    assert not embedder.ready
    await embedder.aclose()


@pytest.mark.parametrize("wrong", [[], [[1.0], [1.0, 2.0]], [[1.0, 2.0, 3.0]] * 2])
async def test_vectors_of_a_wrong_number_or_length_are_refused(
    serve: Serve, wrong: list[list[float]]
) -> None:
    replies = [[[0.6, 0.8]], wrong]

    async def handler(request: web.Request) -> web.Response:
        return answer(replies.pop(0))

    embedder = service(await serve(handler))
    await embedder.prepare()
    with pytest.raises(RetrievalError, match=r"another number or length|did not answer"):
        await embedder.embed(["one", "two"])
    await embedder.aclose()


async def test_a_service_that_talks_html_is_a_clear_error(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="<html>gateway</html>", content_type="text/html")

    embedder = service(await serve(handler))
    with pytest.raises(RetrievalError, match="did not answer"):
        await embedder.prepare()
    await embedder.aclose()


def test_asking_a_service_asks_no_other_host_and_prints_nothing() -> None:
    script = (
        "import asyncio, socket, sys\n"
        "asked, real = set(), socket.getaddrinfo\n"
        "def watched(host, *rest, **more):\n"
        "    asked.add(host if isinstance(host, str) else host.decode())\n"
        "    return real(host, *rest, **more)\n"
        "socket.getaddrinfo = watched\n"
        "from databot.rag.base import RetrievalError\n"
        "from databot.rag.embeddings import LiteLLMEmbedder\n"
        "from databot.providers.litellm import imported\n"
        "async def main():\n"
        "    embedder = LiteLLMEmbedder('openai/tiny', imported, api_base=sys.argv[1], api_key='k')\n"
        "    try:\n"
        "        await embedder.prepare()\n"
        "    except RetrievalError:\n"
        "        print(sorted(asked - {'127.0.0.1'}))\n"
        "    await embedder.aclose()\n"
        "asyncio.run(main())\n"
    )
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM_")}
    done = subprocess.run(
        [sys.executable, "-c", script, "http://127.0.0.1:9/v1"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**ours, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
