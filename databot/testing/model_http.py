"""Small pieces of HTTP for the scripted model server: reading requests, raw answers, embeddings."""

import asyncio
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from aiohttp import web

from databot.testing.model_wire import Raw

MAX_BODY = 64 * 1024 * 1024
JSON_HEADERS = {"Content-Type": "application/json"}
SSE_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


async def read_json(request: web.BaseRequest) -> Mapping[str, Any]:
    """The body as a JSON object; empty where there is none or it is something else."""
    raw = await request.content.read(MAX_BODY) if request.body_exists else b""
    while not request.content.at_eof():
        raw += await request.content.readany()
    try:
        body = orjson.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def wants_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def pieces_of(events: tuple[bytes, ...], drip_bytes: int) -> Iterator[bytes]:
    if not drip_bytes:
        yield from events
        return
    whole = b"".join(events)
    for start in range(0, len(whole), drip_bytes):
        yield whole[start : start + drip_bytes]


def hang_up(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection in the middle of the answer, after what was written has gone out."""
    if request.transport is not None:
        request.transport.close()
    return response


def json_response(data: Mapping[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(dict(data)), headers=JSON_HEADERS)


def raw_response(raw: Raw, *, stream: bool) -> web.Response:
    body, headers = raw_parts(raw, stream=stream)
    return web.Response(status=raw.status, body=body, headers=headers)


def raw_parts(raw: Raw, *, stream: bool) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a raw answer."""
    if stream and raw.stream_body is not None:
        return raw.stream_body, {"Content-Type": "text/event-stream", **dict(raw.headers)}
    return raw.body, {"Content-Type": raw.content_type, **dict(raw.headers)}


async def raw_forever(request: web.BaseRequest, raw: Raw, *, stream: bool) -> web.StreamResponse:
    """A raw answer without an end; leaves with `ConnectionError` or cancelled when the client is gone."""
    body, headers = raw_parts(raw, stream=stream)
    response = web.StreamResponse(status=raw.status, headers=headers)
    await response.prepare(request)
    await response.write(body)
    while True:
        await asyncio.sleep(raw.drip_s)
        await response.write(raw.forever)


def embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    """Vectors that depend on nothing but the text: equal texts are equal, others are not."""
    given = body.get("input", "")
    texts = given if isinstance(given, list) else [given]
    size = int(body.get("dimensions", 8))
    data = [
        {"object": "embedding", "index": index, "embedding": vector(str(text), size)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return {"object": "list", "model": body.get("model", ""), "data": data, "usage": usage}


def vector(text: str, size: int) -> list[float]:
    return [zlib.crc32(f"{place}:{text}".encode()) / 2**31 - 1 for place in range(size)]
