"""LiteLLM's HTTP with bounds, so that nothing a vendor sends can stop the event loop or fill the memory.

LiteLLM reads bodies to their end, inflates them in one step, follows redirects with the key, and searches what failed
with expressions that take minutes over a few megabytes. So it is given bodies that are bounded, inflated piece by
piece, and lead nowhere else. Importing this imports LiteLLM; it retries and translates nothing.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx
from litellm.llms.custom_httpx.aiohttp_transport import LiteLLMAiohttpTransport
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from databot.providers.connection import (
    ERROR_S,
    MAX_ANSWER_BYTES,
    MAX_ERROR_BYTES,
    MAX_STREAM_BYTES,
    BodyTooLong,
    LedElsewhere,
    wanted_in_one_piece,
)
from databot.providers.sse import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from aiohttp import ClientSession

PIECE_BYTES = 64 * 1024
INFLATABLE = frozenset({"gzip", "x-gzip", "deflate"})
LINES = frozenset({"text/event-stream", "application/x-ndjson", "application/jsonl"})
FRAMES = frozenset({"application/vnd.amazon.eventstream", "application/octet-stream"})
SPENT = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that are no longer true of a body inflated here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most bytes of a body, and the most between two ends of line."""

    total: int
    line: int


WHOLE = Bounds(total=MAX_ANSWER_BYTES, line=MAX_ANSWER_BYTES)


def bounds_of(content_type: str, *, whole: bool) -> Bounds:
    """What a good answer of this type may be; a stream may be far longer than its answer."""
    kind = content_type.partition(";")[0].strip().lower()
    if whole or kind not in LINES | FRAMES:
        return WHOLE
    return Bounds(
        total=MAX_STREAM_BYTES, line=MAX_EVENT_BYTES if kind in LINES else MAX_STREAM_BYTES
    )


class Inflater:
    """Undoes `Content-Encoding` in pieces of at most 64 KB, so that few bytes never become very many at once."""

    def __init__(self, encoding: str) -> None:
        self._plain = encoding in {"", "identity"}
        self._known = encoding in INFLATABLE
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` means, in order.

        Raises:
            httpx.DecodingError: it is not what its header says.
        """
        if self._plain:
            yield data
            return
        if not self._known:
            raise httpx.DecodingError("compressed in a way that was not asked for")
        try:
            while data and not self._inner.eof:
                yield self._inner.decompress(data, PIECE_BYTES)
                data = self._inner.unconsumed_tail
        except zlib.error as error:
            raise httpx.DecodingError("not what its Content-Encoding says") from error


class BoundedBody(httpx.AsyncByteStream):
    """A body that ends in `BodyTooLong` where it passes its bounds."""

    def __init__(self, inner: httpx.AsyncByteStream, inflater: Inflater, bounds: Bounds) -> None:
        self._inner = inner
        self._inflater = inflater
        self._bounds = bounds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = line = 0
        async with aclosing(pieces(self._inner, self._inflater)) as parts:
            async for part in parts:
                total += len(part)
                end = part.rfind(b"\n")
                line = line + len(part) if end < 0 else len(part) - end - 1
                if total > self._bounds.total:
                    raise BodyTooLong(self._bounds.total)
                if line > self._bounds.line:
                    raise BodyTooLong(self._bounds.line)
                yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


async def pieces(body: httpx.AsyncByteStream, inflater: Inflater) -> AsyncGenerator[bytes]:
    """The inflated body; leaving it early lets the connection go."""
    try:
        async for data in body:
            for piece in inflater.feed(data):
                yield piece
    finally:
        await body.aclose()


async def beginning(body: httpx.AsyncByteStream, inflater: Inflater) -> bytes:
    """The first 64 KB of what an error says, or what of it comes in a second; a broken rest is no second error."""
    said = bytearray()
    try:
        async with asyncio.timeout(ERROR_S), aclosing(pieces(body, inflater)) as parts:
            async for part in parts:
                said += part
                if len(said) >= MAX_ERROR_BYTES:
                    break
    except (TimeoutError, httpx.HTTPError):
        pass
    return bytes(said[:MAX_ERROR_BYTES])


class Send(Protocol):
    """A transport's one method."""

    async def __call__(self, request: httpx.Request) -> httpx.Response: ...


def bounded(send: Send) -> Send:
    """`send` with bounds on what it hands back.

    A redirect is none of it: LiteLLM would follow it, to any host, with the prompt and most vendors' keys.
    """

    async def handle(request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await send(request)
        status, headers, body = response.status_code, response.headers, response.stream
        assert isinstance(body, httpx.AsyncByteStream)
        kept = [pair for pair in headers.multi_items() if pair[0].lower() not in SPENT]
        if 300 <= status < 400:
            await body.aclose()
            raise LedElsewhere(status)
        inflater = Inflater(headers.get("content-encoding", "").strip().lower())
        if not response.is_success:
            said = await beginning(body, inflater)
            return httpx.Response(status, headers=kept, content=said, request=request)
        bounds = bounds_of(headers.get("content-type", ""), whole=wanted_in_one_piece())
        stream = BoundedBody(body, inflater, bounds)
        return httpx.Response(status, headers=kept, stream=stream, request=request)

    return handle


def bounded_transport(
    ssl_context: ssl.SSLContext | None = None,
    ssl_verify: bool | None = None,
    shared_session: "ClientSession | None" = None,
) -> LiteLLMAiohttpTransport:
    """LiteLLM's transport as LiteLLM would make it, bounded."""
    made = AsyncHTTPHandler.create_aiohttp_transport(
        ssl_context=ssl_context, ssl_verify=ssl_verify, shared_session=shared_session
    )
    # Not a wrapper of its own class: LiteLLM knows by the class which connections it must close.
    made.handle_async_request = bounded(made.handle_async_request)
    return made


def bound_litellm() -> None:
    """Give every client LiteLLM makes from here on a bounded transport.

    This is the one place all of them get theirs. A client handed over with each call would not do: a third of the
    vendors ignore it, and Azure's takes another kind.
    """
    AsyncHTTPHandler.create_async_transport = staticmethod(bounded_transport)
