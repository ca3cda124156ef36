"""An OpenAI-compatible model server on the loopback that says, and fails, as scripted.

    async with ModelServer() as server:
        server.call_tool("sql", {"query": "select 1"})
        server.reply_with("There is one row.")
        settings = {"llm": {"model": "openai/test-model", "api_base": server.url}}

It serves `/v1/chat/completions` (JSON and SSE), `/v1/models`, `/v1/embeddings` and Ollama's `/api/tags`. Answers are
used in the order they were scripted; after the last one the standing answer (`always`) is given. As a process of its
own, for daemons and benchmarks, it prints its URL as the first line:

    python -m databot.testing.model_server --latency-ms 50

It is no model: it understands nothing of what it is asked.
"""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from databot.testing.model_command import Options, parse
from databot.testing.model_faults import error, wrong_key
from databot.testing.model_http import (
    JSON_HEADERS,
    SSE_HEADERS,
    embeddings,
    hang_up,
    json_response,
    pieces_of,
    raw_forever,
    raw_response,
    read_json,
    wants_usage,
)
from databot.testing.model_wire import Answer, Answerer, Raw, Say, stream_plan, whole_body
from databot.types.chat import ToolCall


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came in; `connection` tells the client's connections apart."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    connection: str


class ModelServer:
    """Serves scripted answers; use it as an async context manager.

    `key` refuses every other key with 401; `models` are the names it lists; `latency_s` passes before every answer
    that has no latency of its own; `record=False` keeps no requests (for long benchmarks); `any_path` answers every
    POST as a chat, for vendors whose paths are their own (`origin` is the address without `/v1`). `requests` holds what
    came in, `active` how many answers are being given, `abandoned` how many a client walked away from.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        key: str | None = None,
        models: tuple[str, ...] = ("test-model",),
        latency_s: float = 0.0,
        record: bool = True,
        any_path: bool = False,
    ) -> None:
        self.url = ""
        self.requests: list[Recorded] = []
        self.active = 0
        self.abandoned = 0
        self._port = port
        self._key = key
        self._models = models
        self._latency_s = latency_s
        self._record = record
        self._any_path = any_path
        self._script: deque[Answer | Answerer] = deque()
        self._standing: Answer | Answerer = Say(text="OK")
        self._released = asyncio.Event()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._runner: web.ServerRunner | None = None

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/v1")

    # What it will say

    def script(self, *answers: Answer | Answerer) -> None:
        """Give these answers to the next calls, in order."""
        self._script.extend(answers)

    def always(self, answer: Answer | Answerer) -> None:
        """Give this answer whenever nothing is scripted."""
        self._standing = answer

    def reply_with(self, text: str) -> None:
        """Answer the next call with `text`."""
        self.script(Say(text=text))

    def call_tool(self, name: str, args: Mapping[str, Any], *, call_id: str = "call_1") -> None:
        """Answer the next call by asking for a tool."""
        arguments = orjson.dumps(dict(args)).decode()
        self.script(Say(calls=(ToolCall(id=call_id, name=name, arguments=arguments),)))

    def release(self) -> None:
        """Let every held answer go on, now and from here on."""
        self._released.set()

    async def until(self, *, requests: int = 0, abandoned: int = 0, active: int = 0) -> None:
        """Wait until that many requests came, answers were abandoned and are being given; bound it yourself."""

        def reached() -> bool:
            return (
                len(self.requests) >= requests
                and self.abandoned >= abandoned
                and self.active >= active
            )

        if not reached():
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append((reached, waiter))
            await waiter

    # Its life

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()

    # Serving

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await read_json(request)
        if self._record:
            peer = str(request.transport and request.transport.get_extra_info("peername"))
            self.requests.append(Recorded(request.path, request.headers.copy(), body, peer))
            self._announce()
        if self._key is not None and request.headers.get("Authorization") != f"Bearer {self._key}":
            return raw_response(wrong_key(), stream=False)
        match request.path:
            case "/v1/chat/completions":
                return await self._chat(request, body)
            case "/v1/embeddings":
                return json_response(embeddings(body))
            case "/v1/models":
                listed = [{"id": name, "object": "model"} for name in self._models]
                return json_response({"object": "list", "data": listed})
            case "/api/tags":
                return json_response({"models": [{"name": name} for name in self._models]})
            case _ if self._any_path and request.method == "POST":
                return await self._chat(request, body)
            case _:
                return raw_response(error(404, f"no route {request.path}"), stream=False)

    async def _chat(self, request: web.BaseRequest, body: Mapping[str, Any]) -> web.StreamResponse:
        answer = self._script.popleft() if self._script else self._standing
        if not isinstance(answer, Say | Raw):
            answer = answer(body)
        stream = bool(body.get("stream"))
        self.active += 1
        try:
            self._announce()
            if isinstance(answer, Raw):
                await asyncio.sleep(self._latency_s)
                if answer.forever:
                    return await raw_forever(request, answer, stream=stream)
                return raw_response(answer, stream=stream)
            return await self._say(request, answer, body)
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned += 1
            raise
        finally:
            self.active -= 1
            self._announce()

    async def _say(
        self, request: web.BaseRequest, say: Say, body: Mapping[str, Any]
    ) -> web.StreamResponse:
        latency_s = self._latency_s if say.latency_s is None else say.latency_s
        if latency_s:
            await asyncio.sleep(latency_s)
        if say.hold_after == 0:
            await self._released.wait()
        model = str(body.get("model", ""))
        if body.get("stream"):
            return await self._stream(request, say, model, wants_usage(body))
        whole = whole_body(say, model)
        if say.cut is None:
            return web.Response(body=whole, headers=JSON_HEADERS)
        response = web.StreamResponse(
            headers={**JSON_HEADERS, "Content-Length": str(len(whole))},
        )
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        return hang_up(request, response)

    async def _stream(
        self, request: web.BaseRequest, say: Say, model: str, include_usage: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=SSE_HEADERS)
        await response.prepare(request)
        plan = stream_plan(say, model, include_usage=include_usage)
        for count, piece in enumerate(pieces_of(plan.events, say.drip_bytes)):
            if say.hold_after is not None and count == say.hold_after:
                await self._released.wait()
            if say.drip_s:
                await asyncio.sleep(say.drip_s)
            try:
                await response.write(piece)
            except ConnectionError:
                self.abandoned += 1
                return response
        if plan.cut:
            return hang_up(request, response)
        await response.write_eof()
        return response

    def _announce(self) -> None:
        for entry in list(self._waiting):
            reached, waiter = entry
            if waiter.done() or reached():
                self._waiting.remove(entry)
                if not waiter.done():
                    waiter.set_result(None)


async def serve(options: Options) -> None:
    """Serve what the command line says until SIGINT or SIGTERM; the URL is the first line on stdout."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = ModelServer(
        port=options.port,
        key=options.key,
        models=options.models,
        latency_s=options.latency_s,
        record=False,
    )
    server.always(options.answer)
    async with server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        await stop.wait()


def main(argv: list[str] | None = None) -> None:
    """Serve, on uvloop where it is installed."""
    options = parse(argv)
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    run(serve(options))


if __name__ == "__main__":
    main()
