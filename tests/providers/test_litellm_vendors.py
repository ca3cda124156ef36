"""Vendors whose protocol is not OpenAI's, in their own words on the wire: what they say arrives."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import orjson
import pytest

from databot.providers.litellm import LiteLLMProvider
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Raw
from databot.types.chat import ChatMessage, ChatReply, ChatRequest, TextChunk, ToolSpec

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Items? '.*on TypedDict:UserWarning"),
]

KEY = "canary-without-a-prefix-7f3a"
SAID = "Twelve orders — schön."
ARGUMENTS = {"query": "select 1"}


def lines(*events: object, named: bool = False) -> bytes:
    """Server-sent events; `named` gives each its type, as Anthropic does."""
    out: list[bytes] = []
    for event in events:
        name = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        out.append(name.encode() + b"data: " + orjson.dumps(event) + b"\n\n")
    return b"".join(out)


def anthropic(*, call: bool, stream: bool) -> Raw:
    usage = {"input_tokens": 120, "output_tokens": 7}
    block = (
        {"type": "tool_use", "id": "toolu_1", "name": "sql", "input": ARGUMENTS}
        if call
        else {"type": "text", "text": SAID}
    )
    reason = "tool_use" if call else "end_turn"
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    if not stream:
        body = {**message, "content": [block], "stop_reason": reason, "usage": usage}
        return Raw(body=orjson.dumps(body))
    start = {**block, "input": {}} if call else {"type": "text", "text": ""}
    delta = (
        {"type": "input_json_delta", "partial_json": json.dumps(ARGUMENTS)}
        if call
        else {"type": "text_delta", "text": SAID}
    )
    begun = {**message, "content": [], "usage": {**usage, "output_tokens": 1}}
    ended = {"stop_reason": reason, "stop_sequence": None}
    return Raw(
        body=lines(
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": start},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
            named=True,
        ),
        content_type="text/event-stream; charset=utf-8",
    )


def gemini(*, call: bool, stream: bool) -> Raw:
    part = {"functionCall": {"name": "sql", "args": ARGUMENTS}} if call else {"text": SAID}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 120, "candidatesTokenCount": 7, "totalTokenCount": 127}
    body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}
    if stream:
        return Raw(body=lines(body), content_type="text/event-stream")
    return Raw(body=orjson.dumps(body))


def ollama(*, call: bool, stream: bool) -> Raw:
    message: dict[str, object] = {"role": "assistant", "content": "" if call else SAID}
    if call:
        message["tool_calls"] = [{"function": {"name": "sql", "arguments": ARGUMENTS}}]
    stamp = {"model": "llama3", "created_at": "2026-01-01T00:00:00Z"}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 120, "eval_count": 7}
    if not stream:
        return Raw(body=orjson.dumps({**stamp, "message": message, **end}))
    first = orjson.dumps({**stamp, "message": message, "done": False})
    last = orjson.dumps({**stamp, "message": {"role": "assistant", "content": ""}, **end})
    return Raw(body=first + b"\n" + last + b"\n", content_type="application/x-ndjson")


class Speaks(Protocol):
    """A vendor's answer: a text, or a tool call."""

    def __call__(self, *, call: bool, stream: bool) -> Raw: ...


@dataclass(frozen=True)
class Vendor:
    """A model, what its vendor says, and where it wants to be asked and told the key."""

    model: str
    speaks: Speaks
    path: str
    header: str


VENDORS = pytest.mark.parametrize(
    "vendor",
    [
        Vendor("anthropic/claude-haiku-4-5", anthropic, "/v1/messages", "x-api-key"),
        Vendor("gemini/gemini-2.5-flash", gemini, "enerateContent", "x-goog-api-key"),
        Vendor("ollama_chat/llama3", ollama, "/api/chat", "Authorization"),
    ],
    ids=lambda vendor: vendor.model,
)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with asyncio.timeout(60), ModelServer(any_path=True) as running:
        yield running


@pytest.fixture
async def provider(server: ModelServer) -> AsyncIterator[LiteLLMProvider]:
    async with LiteLLMProvider(api_base=server.origin, api_key=KEY) as opened:
        await asyncio.to_thread(opened.warm)
        yield opened


def question(model: str) -> ChatRequest:
    return ChatRequest(
        model=model,
        messages=(
            ChatMessage(role="system", content="You are databot."),
            ChatMessage(role="user", content="How many orders?"),
        ),
        tools=(
            ToolSpec(
                name="sql",
                description="Run a query.",
                parameters={"type": "object", "properties": {"query": {"type": "string"}}},
            ),
        ),
        timeout_s=20,
    )


async def answer(provider: LiteLLMProvider, request: ChatRequest, *, stream: bool) -> ChatReply:
    if not stream:
        return await provider.chat(request)
    *texts, last = [chunk async for chunk in provider.chat_stream(request)]
    assert isinstance(last, ChatReply)
    assert "".join(chunk.text for chunk in texts if isinstance(chunk, TextChunk)) == last.text
    return last


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@VENDORS
async def test_text_and_tokens_arrive(
    provider: LiteLLMProvider, server: ModelServer, vendor: Vendor, stream: bool
) -> None:
    server.script(vendor.speaks(call=False, stream=stream))
    reply = await answer(provider, question(vendor.model), stream=stream)
    assert (reply.text, reply.finish_reason) == (SAID, "stop")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (120, 7)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@VENDORS
async def test_tool_calls_arrive(
    provider: LiteLLMProvider, server: ModelServer, vendor: Vendor, stream: bool
) -> None:
    server.script(vendor.speaks(call=True, stream=stream))
    reply = await answer(provider, question(vendor.model), stream=stream)
    (call,) = reply.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("sql", ARGUMENTS)
    assert reply.finish_reason == "tool_calls"


@VENDORS
async def test_the_key_goes_in_a_header_and_never_into_the_address(
    provider: LiteLLMProvider, server: ModelServer, vendor: Vendor
) -> None:
    server.script(vendor.speaks(call=False, stream=False))
    await provider.chat(question(vendor.model))
    (sent,) = server.requests
    assert sent.path.endswith(vendor.path)
    assert KEY in sent.headers[vendor.header]
    assert KEY not in sent.path
    assert sent.headers["Accept-Encoding"] == "identity"
