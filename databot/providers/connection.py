"""What can go wrong between us and a model server, in words; and bounded reads."""

import asyncio
import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from databot.providers.errors import Place, bad_body
from databot.types.errors import (
    ProviderBadResponse,
    ProviderError,
    ProviderTimeout,
    ProviderUnreachable,
)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
ERROR_S = 1.0
"""How long an error's body is waited for; its status is known, and what has come by then must do."""
MAX_STREAM_BYTES = 128 * 1024 * 1024
"""A streamed token comes wrapped in a few hundred bytes, so a stream may be far longer than its answer."""


_whole_answer: ContextVar[bool] = ContextVar("whole_answer", default=False)


@contextmanager
def in_one_piece() -> Generator[None]:
    """Whatever is asked inside is answered in one piece; LiteLLM does not tell its transport, so we do."""
    token = _whole_answer.set(True)
    try:
        yield
    finally:
        _whole_answer.reset(token)


def wanted_in_one_piece() -> bool:
    return _whole_answer.get()


class BodyTooLong(Exception):
    """An answer passed its bound of `limit` bytes; raised inside LiteLLM and translated where that is."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class LedElsewhere(Exception):
    """The server answered with a redirect, which is not followed; raised and translated like `BodyTooLong`."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a redirect ({status})")
        self.status = status


def broken_connection(error: Exception, place: Place, timeout_s: float) -> ProviderError:
    """The databot error for a failure of aiohttp or the socket."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return unreachable(place, "no connection in time", "check the address, proxy and firewall")
    if isinstance(error, asyncio.TimeoutError):
        return silent(place, timeout_s)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return unreachable(place, "the host name is not known", "check llm.api_base for a typo")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        hint = "check that llm.api_base should be https and that the server's certificate is valid"
        return unreachable(place, "no trusted TLS connection", hint)
    if isinstance(error, aiohttp.ClientConnectorError):
        hint = "check that the server is running and that llm.api_base is right"
        return unreachable(place, "the connection was refused", hint)
    if isinstance(error.__cause__, ContentEncodingError):
        return bad_body(place, "bytes that are not what its Content-Encoding says")
    if isinstance(error, aiohttp.ClientResponseError):
        return bad_body(place, "something that is not HTTP", hint="check llm.api_base")
    return ended_early(place)


def unreachable(place: Place, why: str, hint: str) -> ProviderUnreachable:
    return ProviderUnreachable(f"cannot reach the model server {place.host}: {why}", hint=hint)


def silent(place: Place, timeout_s: float) -> ProviderTimeout:
    return ProviderTimeout(
        f"{place.host} sent nothing from {place.model!r} for {timeout_s:g} s",
        hint="try again, choose a faster model, or raise llm.timeout_s",
    )


def ended_early(place: Place) -> ProviderUnreachable:
    return ProviderUnreachable(
        f"{place.host} closed the connection before the end of its answer", hint="try again"
    )


def too_long(place: Place, limit: int) -> ProviderBadResponse:
    return bad_body(
        place,
        f"more than {limit // 2**20} MB",
        hint="the answer was dropped; ask again or choose another model",
    )


async def read_up_to(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The body, or as much of it as first passes `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while size <= limit and (data := await content.readany()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


async def read_beginning(content: aiohttp.StreamReader) -> bytes:
    """What an error says, as far as it comes within `MAX_ERROR_BYTES` and `ERROR_S`."""
    parts: list[bytes] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(ERROR_S):
            size = 0
            while size < MAX_ERROR_BYTES and (data := await content.readany()):
                parts.append(data)
                size += len(data)
    return b"".join(parts)[:MAX_ERROR_BYTES]


async def read_answer(response: aiohttp.ClientResponse, place: Place) -> bytes:
    """The whole body.

    Raises:
        ProviderBadResponse: it is longer than any answer should be.
    """
    body = await read_up_to(response.content, MAX_ANSWER_BYTES)
    if len(body) > MAX_ANSWER_BYTES:
        raise too_long(place, MAX_ANSWER_BYTES)
    return body
