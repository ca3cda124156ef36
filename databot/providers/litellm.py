"""Every vendor LiteLLM knows, through LiteLLM; for those that `openai` does not speak to natively.

LiteLLM takes two seconds and 150 MB to import and milliseconds a call, so it is imported in a thread, at first use or
when warmed, and kept quiet: it prints, phones and logs nothing. It neither retries nor falls back here; `resilient`
does.
"""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from typing import Any

from databot.providers.base import LLMProvider
from databot.providers.connection import MAX_ANSWER_BYTES, in_one_piece, too_long
from databot.providers.errors import Place, bad_body, no_tools, vendor_answer
from databot.providers.litellm_errors import translate_litellm
from databot.providers.pricing import cost_usd, prices
from databot.providers.streams import ChunkStream
from databot.providers.wire import Assembler, wire_message, wire_tool
from databot.types.chat import ChatReply, ChatRequest, TextChunk, Usage
from databot.types.errors import MissingExtra, ProviderError

LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "openai")
IMPORTING = threading.Lock()
WHOLE_ANSWER_PATIENCE = 3
"""An answer fetched whole may take this many times the wait for a next piece. Streaming through LiteLLM costs about
twice the CPU, so what nobody watches is not streamed."""


class LiteLLMProvider(LLMProvider):
    """Any LiteLLM model id, such as `anthropic/claude-sonnet-5`.

    `api_base` and `api_key` are handed on when they are given; else LiteLLM reads the vendor's own variables.
    `request.timeout_s` bounds a whole `chat`; of a stream, the wait for the first and for each further piece.
    """

    def __init__(
        self, *, api_base: str | None = None, api_key: str = "", name: str = "litellm"
    ) -> None:
        self.name = name
        self._key = api_key
        self._options: dict[str, Any] = {}
        if api_base:
            self._options["api_base"] = api_base
        if api_key:
            self._options["api_key"] = api_key

    async def chat(self, request: ChatRequest) -> ChatReply:
        litellm, place = await self._ready(request)
        answer = Assembler()
        try:
            with in_one_piece():
                async with asyncio.timeout(request.timeout_s):
                    response = await litellm.acompletion(**self._arguments(request, stream=False))
            answer.add(whole_event(response))
        except Exception as error:  # boundary: vendor library
            cause = vendor_answer(f"{type(error).__name__}: {error}", place.key)
            raise translate_litellm(error, place, request.timeout_s) from cause
        if not answer.choices:
            raise bad_body(place, "nothing: its answer holds no choice")
        whole = reply(answer, request)
        if len(whole.text) > MAX_ANSWER_BYTES:
            raise too_long(place, MAX_ANSWER_BYTES)
        return whole

    def chat_stream(self, request: ChatRequest) -> ChunkStream:
        return self._streamed(request) if request.stream else self._in_one_piece(request)

    async def _in_one_piece(self, request: ChatRequest) -> ChunkStream:
        patience = request.timeout_s * WHOLE_ANSWER_PATIENCE
        whole = await self.chat(replace(request, timeout_s=patience))
        if whole.text:
            yield TextChunk(whole.text)
        yield whole

    async def _streamed(self, request: ChatRequest) -> ChunkStream:
        litellm, place = await self._ready(request)
        answer = Assembler()
        stream: Any = None
        size = 0
        try:
            async with asyncio.timeout(request.timeout_s):
                stream = await litellm.acompletion(**self._arguments(request, stream=True))
            while (event := await next_event(stream, request.timeout_s)) is not None:
                if text := answer.add(event):
                    size += len(text)
                    if size > MAX_ANSWER_BYTES:
                        raise too_long(place, MAX_ANSWER_BYTES)
                    yield TextChunk(text)
            if not answer.text and not answer.calls and answer.finished == "stop":
                raise bad_body(place, "an empty answer")
        except ProviderError:
            raise
        except Exception as error:  # boundary: vendor library
            cause = vendor_answer(f"{type(error).__name__}: {error}", place.key)
            raise translate_litellm(error, place, request.timeout_s) from cause
        finally:
            if stream is not None:
                await stream.aclose()
        yield reply(answer, request)

    def warm(self) -> None:
        imported()

    async def aclose(self) -> None:
        """Close LiteLLM's connections; they belong to the process, and open again at the next call."""
        if not imported.cache_info().currsize:
            return
        litellm = imported()
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()

    async def _ready(self, request: ChatRequest) -> tuple[Any, Place]:
        """LiteLLM, imported off the loop, and the place of this call.

        Raises:
            ToolsUnsupported: LiteLLM knows that this model takes no tools; asked, it would drop them in silence.
        """
        if not imported.cache_info().currsize:
            await asyncio.to_thread(imported)
        vendor = request.model.partition("/")[0] if "/" in request.model else "LiteLLM"
        place = Place(host=vendor, model=request.model, key=self._key)
        if request.tools and not takes_tools(request.model):
            raise no_tools(place)
        return imported(), place

    def _arguments(self, request: ChatRequest, *, stream: bool) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": request.model,
            "messages": [wire_message(message) for message in request.messages],
            "max_tokens": request.max_output_tokens,
            "temperature": request.temperature,
            "timeout": request.timeout_s,
            "stream": stream,
            "drop_params": True,
            "num_retries": 0,
            "max_retries": 0,
            # Without this LiteLLM imports the `mcp` package, which it does not require, for any call with tools.
            "_skip_mcp_handler": True,
            **self._options,
        }
        if request.tools:
            arguments["tools"] = [wire_tool(tool) for tool in request.tools]
        if stream:
            arguments["stream_options"] = {"include_usage": True}
        return arguments


@lru_cache(maxsize=1)
def imported() -> Any:  # noqa: ANN401 - LiteLLM has no usable types
    """LiteLLM, silenced; the first time takes seconds, so call it in a thread.

    Raises:
        MissingExtra: it is not installed.
    """
    with IMPORTING, uncollected():
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        # Its own HTTP client for OpenAI's protocol, which costs half of what the vendor's library does.
        os.environ.setdefault("EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER", "True")
        # What it looks for keys in, it may look through for minutes on the event loop; `vendor_answer` hides keys.
        os.environ.setdefault("LITELLM_DISABLE_REDACT_SECRETS", "True")
        try:
            import litellm

            # Imported by the first call otherwise, on the event loop.
            import_module("openai.resources")
        except ImportError as error:
            raise MissingExtra("this model", extra="all") from error
        silence(litellm)
        import_module("databot.providers.litellm_http").bound_litellm()
        prices()
        rehearse(litellm)
    return litellm


@contextmanager
def uncollected() -> Generator[None]:
    """Without the garbage collector, which would stop the event loop again and again while so much is imported.

    What was made meanwhile stays for good, so later collections need not look at it (0.2 s each time).
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collecting:
            gc.enable()


def silence(litellm: Any) -> None:  # noqa: ANN401
    """No prints, no telemetry, no log: its log lines hold prompts, and what vendors repeat of keys."""
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False


def rehearse(litellm: Any) -> None:  # noqa: ANN401
    """Make its first call here, where the 300 ms it takes stop nobody; nothing is sent."""
    messages = [{"role": "user", "content": "warm up"}]
    for stream in (False, True):
        answer = litellm.completion(
            model="openai/gpt-4o-mini",
            messages=messages,
            mock_response="ok",
            api_key="none",
            stream=stream,
        )
        if stream:
            for _ in answer:
                pass


@lru_cache(maxsize=256)
def takes_tools(model: str) -> bool:
    """Whether LiteLLM would hand tools on; yes for what it does not know."""
    litellm = imported()
    try:
        name, vendor, _, _ = litellm.get_llm_provider(model)
        supported = litellm.get_supported_openai_params(name, vendor)
    except Exception:  # boundary: vendor library; the call itself will say what is wrong
        return True
    return supported is None or "tools" in supported


async def next_event(stream: Any, timeout_s: float) -> Mapping[str, Any] | None:  # noqa: ANN401
    """The next chunk in OpenAI's shape; `None` at the end."""
    try:
        async with asyncio.timeout(timeout_s):
            return stream_event(await anext(stream))
    except StopAsyncIteration:
        return None


def stream_event(chunk: Any) -> dict[str, Any]:  # noqa: ANN401
    """A chunk as the wire has it, with only what is read; `model_dump` would cost ten times as much."""
    event: dict[str, Any] = {"model": chunk.model}
    if usage := getattr(chunk, "usage", None):
        event["usage"] = tokens(usage)
    if chunk.choices:
        choice = chunk.choices[0]
        delta: dict[str, Any] = {"content": whole_characters(choice.delta.content)}
        if calls := choice.delta.tool_calls:
            delta["tool_calls"] = [plain_call(call) for call in calls]
        event["choices"] = [{"delta": delta, "finish_reason": choice.finish_reason}]
    return event


def whole_event(response: Any) -> dict[str, Any]:  # noqa: ANN401
    event: dict[str, Any] = {"model": response.model}
    if usage := getattr(response, "usage", None):
        event["usage"] = tokens(usage)
    if response.choices:
        choice = response.choices[0]
        message: dict[str, Any] = {"content": whole_characters(choice.message.content)}
        if calls := choice.message.tool_calls:
            message["tool_calls"] = [plain_call(call) for call in calls]
        event["choices"] = [{"message": message, "finish_reason": choice.finish_reason}]
    return event


def plain_call(call: Any) -> dict[str, Any]:  # noqa: ANN401
    arguments = whole_characters(call.function.arguments)
    function = {"name": call.function.name, "arguments": arguments}
    return {"index": getattr(call, "index", None), "id": call.id, "function": function}


def whole_characters(value: Any) -> Any:  # noqa: ANN401
    """Text that can be sent and stored: LiteLLM's JSON reader lets half characters through, nobody else does."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()


def tokens(usage: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


def reply(answer: Assembler, request: ChatRequest) -> ChatReply:
    vendor, _, model = request.model.rpartition("/")
    given, made = answer.tokens()
    cost = cost_usd(vendor, model, given, made)
    return answer.reply(request.model, Usage(input_tokens=given, output_tokens=made, cost_usd=cost))
