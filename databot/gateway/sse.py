"""A turn's events as server-sent events.

Each has `id:`, `event:` and JSON `data:`; a comment every 15 seconds keeps proxies from closing the line. A reader that
leaves, or stops reading, does not stop the turn.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from aiohttp import web

from databot.gateway.context import Gateway
from databot.gateway.query import wants_html
from databot.gateway.relay import Frame, event_data, frames, goodbye
from databot.gateway.respond import dumps, headers_for
from databot.gateway.writing import write_bounded
from databot.types.events import ApprovalRequested, payload

MEDIA_TYPE = "text/event-stream"
STREAM_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store, no-transform"}
OPENING = b"retry: 2000\n\n"
PING = b": ping\n\n"
FAREWELL_S = 2.0


def encode(number: int | None, name: str, data: object) -> bytes:
    """One event in the wire format."""
    head = b"" if number is None else b"id: %d\n" % number
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), dumps(data))


async def stream_turn(
    gateway: Gateway,
    request: web.Request,
    turn: tuple[str, str, str],
    *,
    after: int = 0,
    quiet: Sequence[Frame] = (),
    extra: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer the request with the events of `turn` (tenant, turn id, session id) until the terminal one; `quiet` as in `frames`."""
    _, turn_id, session_id = turn
    headers = headers_for(request, MEDIA_TYPE, STREAM_HEADERS | dict(extra or {}))
    response = web.StreamResponse(headers=headers)
    html = wants_html(request)
    told = frames(gateway, turn, after=after, quiet=quiet)
    gateway.metrics.open_streams += 1
    try:
        with gateway.lifetime.busy() as until:
            await response.prepare(request)
            await response.write(OPENING)
            try:
                async with gateway.lifetime.waiting(), asyncio.TaskGroup() as group, aclosing(told):
                    pings = group.create_task(_ping(gateway, request, response))
                    async for frame in told:
                        until.hold(not isinstance(frame.event, ApprovalRequested))
                        data = await event_data(frame.event, html=html)
                        event = encode(frame.number, frame.event.name, data)
                        await write_bounded(request.transport, event, response.write)
                    pings.cancel()
            except TimeoutError:
                await _farewell(response, goodbye(turn_id, session_id))
            await response.write_eof()
    except* ConnectionError:
        # The reader left, or does not read; the turn goes on. Nothing more may wait for this line.
        if request.transport is not None:
            request.transport.abort()
    finally:
        gateway.metrics.open_streams -= 1
    return response


async def _farewell(response: web.StreamResponse, frame: Frame) -> None:
    try:
        async with asyncio.timeout(FAREWELL_S):
            await response.write(encode(frame.number, frame.event.name, payload(frame.event)))
    except TimeoutError as error:
        raise ConnectionAbortedError("the reader does not read") from error


async def _ping(gateway: Gateway, request: web.Request, response: web.StreamResponse) -> None:
    while True:
        await asyncio.sleep(gateway.options.ping_s)
        await write_bounded(request.transport, PING, response.write)
