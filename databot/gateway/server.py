"""The gateway on a socket: listen, tell where, and stop in good order."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from databot.gateway.context import GATEWAY
from databot.types.errors import ConfigError

log = logging.getLogger(__name__)
DRAIN_S = 25.0
FAREWELL_S = 2.0
"""Enough to hand clients what is ready once no turn runs any more."""
CLOSE_S = 5.0
KEEPALIVE_S = 75.0
BACKLOG = 4_096
"""So many new connections may wait until the loop looks: at 128, aiohttp's own, a burst of clients was reset."""


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, drain_s: float = DRAIN_S
) -> AsyncGenerator[str]:
    """Serve `app` while inside, at the URL given; `port` 0 takes a free one.

    On the way out: not ready and no new work, then up to `drain_s` seconds for running turns, then terminal events for
    streams, 1001 for WebSockets, and the sockets closed. Raises `ConfigError` when the address cannot be had.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_protocol_log(),
        shutdown_timeout=CLOSE_S,
        keepalive_timeout=KEEPALIVE_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True, backlog=BACKLOG)
        await _start(site, host, port)
        try:
            yield _url(host, runner)
        finally:
            await _stop(app, site, drain_s)
    finally:
        await runner.cleanup()


async def serve(
    app: web.Application,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    *,
    stop: asyncio.Event,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve until `stop` is set; `on_ready` is given the URL once it can be called.

    `drain` lets running turns end, within bounds of its own: meanwhile their clients are still told, and no new work is
    taken.
    """
    async with listening(app, host, port, drain_s=FAREWELL_S) as url:
        on_ready(url)
        await stop.wait()
        app[GATEWAY].lifetime.draining = True
        await drain()


def _protocol_log() -> logging.Logger:
    """The log of connections that aiohttp keeps, without a stack trace for each stranger that speaks no HTTP."""
    protocol = log.getChild("protocol")
    protocol.addFilter(_is_ours)
    return protocol


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


async def _start(site: web.TCPSite, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        raise ConfigError(
            f"the gateway cannot listen on {host}:{port}: {error.strerror or error}",
            hint="is another databot running? choose another gateway.port",
        ) from error


async def _stop(app: web.Application, site: web.TCPSite, drain_s: float) -> None:
    lifetime = app[GATEWAY].lifetime
    lifetime.draining = True
    await site.stop()
    if not await lifetime.drain(drain_s):
        log.warning("turns were still running after %g s; they go on after the restart", drain_s)
    lifetime.close()


def _url(host: str, runner: web.AppRunner) -> str:
    """Where it listens, as a browser on this machine would write it."""
    port = runner.addresses[0][1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    return f"http://{shown}:{port}"
