"""Reading one answer off an open response, streamed or whole.

All that has arrived is taken in one step, so one read of the network gives at most one piece of text, however many
tokens are in it. Knows HTTP responses and the protocol; opens and retries nothing.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp

from databot.providers.connection import (
    MAX_STREAM_BYTES,
    broken_connection,
    ended_early,
    read_answer,
    silent,
    too_long,
)
from databot.providers.errors import Place, bad_body, error_in
from databot.providers.sse import EventReader
from databot.providers.wire import Assembler, load
from databot.types.errors import ProviderBadResponse

DRAIN_S = 0.25
"""How long a server may take to end a stream after it said it was done, before its connection is given up."""


class AnswerStream:
    """The text of a streamed answer, piece by piece; `assembler` then holds the whole of it."""

    def __init__(self, response: aiohttp.ClientResponse, place: Place, timeout_s: float) -> None:
        self.assembler = Assembler()
        self._content = response.content
        self._place = place
        self._timeout_s = timeout_s
        self._events = EventReader(place.host)
        self._clock = asyncio.get_running_loop().time
        self._heard = self._clock()
        self._bytes = 0
        self._done = False

    async def next_text(self) -> str | None:
        """The next text; `None` at the end of a complete answer.

        Raises:
            ProviderError: the answer was cut, stalled, too long, or is not the protocol.
        """
        while not self._done:
            data = await self._read()
            events = self._events.feed(data) if data else self._events.end()
            text = self._take(events)
            if not data:
                self._close()
            elif events:
                self._heard = self._clock()
            elif self._clock() - self._heard > self._timeout_s:
                raise silent(self._place, self._timeout_s)
            if self._done:
                await self._drain()
            if text:
                return text
        return None

    async def _read(self) -> bytes:
        """What has arrived; empty at the end, which may be rough once the answer is complete."""
        try:
            data = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if self.assembler.finished:
                return b""
            raise broken_connection(error, self._place, self._timeout_s) from error
        self._bytes += len(data)
        if self._bytes > MAX_STREAM_BYTES:
            raise too_long(self._place, MAX_STREAM_BYTES)
        return data

    def _take(self, events: list[bytes]) -> str:
        texts: list[str] = []
        for event in events:
            if event.startswith(b"[DONE]"):
                self._close(told=True)
                break
            if text := take_in(self.assembler, self._loaded(event), self._place):
                texts.append(text)
        return texts[0] if len(texts) == 1 else "".join(texts)

    def _loaded(self, event: bytes) -> dict[str, Any]:
        data = load(event)
        if data is None:
            raise bad_body(self._place, "an event that is not JSON")
        if error := error_in(data, self._place):
            raise error
        return data

    def _close(self, *, told: bool = False) -> None:
        """The stream is over: it was complete, or this is an error."""
        self._done = True
        if not self.assembler.choices and (told or self._bytes):
            raise bad_body(self._place, "a stream without an answer")
        if not told and not self.assembler.finished:
            raise ended_early(self._place)

    async def _drain(self) -> None:
        """Read to the end of the body, so that the connection can be used again."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            if not self._content.at_eof():
                async with asyncio.timeout(DRAIN_S):
                    await self._content.readany()


def take_in(assembler: Assembler, data: Mapping[str, Any], place: Place) -> str:
    """The text in `data`, which may be JSON of any shape.

    Raises:
        ProviderBadResponse: it is not of the protocol's.
    """
    try:
        return assembler.add(data)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise bad_body(place, "JSON that is not an answer") from error


async def read_whole(response: aiohttp.ClientResponse, place: Place) -> Assembler:
    """An answer that is not streamed.

    Raises:
        ProviderError: it is too long, an error, or not the protocol.
    """
    body = await read_answer(response, place)
    data = load(body)
    if data is None:
        raise not_json(body, place)
    if error := error_in(data, place):
        raise error
    assembler = Assembler()
    take_in(assembler, data, place)
    if not assembler.choices:
        raise bad_body(place, "nothing: its answer holds no choice")
    return assembler


def not_json(body: bytes, place: Place) -> ProviderBadResponse:
    if body.lstrip()[:1] == b"<":
        hint = "check llm.api_base: it usually ends with /v1"
        return bad_body(place, "a web page instead of JSON", hint=hint)
    return bad_body(place, "broken JSON")
