"""A small proxy for trying several replicas on one machine: round robin, no sticky sessions.

Event streams and WebSockets pass through as they come. A replica is asked once a second whether it is ready; one that is
not gets no new requests. A request whose replica dies before it answers goes to the next. For real traffic use nginx,
HAProxy, Envoy or what your platform has (`compose.yaml` shows nginx).
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import aiohttp
from aiohttp import web

LOOK_EVERY_S = 1.0
LOOK_S = 3.0
CONNECT_S = 3.0
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("trailer", "trailers", "transfer-encoding", "upgrade", "expect"),
    }
)
OF_THE_HANDSHAKE = "sec-websocket-"


class Proxy:
    """Hands requests to the replicas in turn; `replicas` maps a name to an address and may change at any time."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self.replicas: dict[str, str] = {}
        self._client = client
        self._ready: dict[str, str] = {}
        self._next = 0

    def in_turn(self) -> Iterator[str]:
        """Every ready replica once, beginning with another one each time."""
        ready = list(self._ready.values())
        self._next += 1
        for place in range(len(ready)):
            yield ready[(self._next + place) % len(ready)]

    async def watch(self) -> None:
        """Keep asking the replicas whether they are ready."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask each replica once."""
        known = dict(self.replicas)
        answers = await asyncio.gather(*(self._is_ready(url) for url in known.values()))
        asked = zip(known.items(), answers, strict=True)
        self._ready = {name: url for (name, url), ready in asked if ready}

    async def _is_ready(self, url: str) -> bool:
        try:
            timeout = aiohttp.ClientTimeout(total=LOOK_S)
            async with self._client.get(f"{url}/readyz", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Give the request to a replica, and its answer to the client.

        A replica that dies before it answers may have accepted the message. With a key of its own the message may be
        given to the next one all the same: it is known again there.
        """
        body, key = await request.read(), uuid4().hex
        for url in self.in_turn():
            try:
                if request.headers.get("Upgrade", "").lower() == "websocket":
                    return await self._pass_socket(request, url)
                return await self._pass_request(request, url, body, key)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, TimeoutError):
                continue  # no answer has begun, and whatever was sent has a key by which it is known again
        return web.json_response(
            {"error": {"type": "unavailable", "message": "no replica is ready"}},
            status=503,
            headers={"Retry-After": "1"},
        )

    async def _pass_request(
        self, request: web.Request, url: str, body: bytes, key: str
    ) -> web.StreamResponse:
        headers = headers_for(request)
        if request.method == "POST" and "Idempotency-Key" not in request.headers:
            headers.append(("Idempotency-Key", key))
        async with self._client.request(
            request.method,
            url + request.raw_path,
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            await response.prepare(request)
            try:
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
            except (
                aiohttp.ClientPayloadError
            ):  # the replica died: the client must see that it was cut
                if request.transport is not None:
                    request.transport.abort()
            return response

    async def _pass_socket(self, request: web.Request, url: str) -> web.StreamResponse:
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        try:
            far = await self._client.ws_connect(
                url + request.raw_path,
                headers=headers_for(request),
                protocols=[name.strip() for name in offered.split(",") if name.strip()],
                max_msg_size=0,
            )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        async with far:
            near = web.WebSocketResponse(
                protocols=[far.protocol] if far.protocol else [], max_msg_size=0
            )
            await near.prepare(request)
            pumps = {asyncio.ensure_future(pump(near, far)), asyncio.ensure_future(pump(far, near))}
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in pumps:
                    each.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            await far.close(code=near.close_code or 1000)
            await near.close(code=far.close_code or 1001)
            return near


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def pump(source: Socket, target: Socket) -> None:
    """Hand messages on until the source closes."""
    with suppress(ConnectionError):
        async for message in source:
            if message.type is aiohttp.WSMsgType.TEXT:
                await target.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await target.send_bytes(message.data)


def headers_for(request: web.Request) -> list[tuple[str, str]]:
    """The client's headers, `Host` too, with its address behind those of the proxies before."""
    kept = [
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in HOP_BY_HOP
        and not name.lower().startswith(OF_THE_HANDSHAKE)
        and name.lower() != "x-forwarded-for"
    ]
    before = request.headers.getall("X-Forwarded-For", [])
    return [*kept, ("X-Forwarded-For", ", ".join([*before, request.remote or "unknown"]))]


@asynccontextmanager
async def serving(host: str, port: int) -> AsyncGenerator[tuple[Proxy, str]]:
    """A proxy on a socket, with its address."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, auto_decompress=False
    ) as client:
        proxy = Proxy(client)
        app = web.Application(client_max_size=1024**3)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            watching = asyncio.ensure_future(proxy.watch())
            try:
                yield proxy, f"http://{host}:{runner.addresses[0][1]}"
            finally:
                watching.cancel()
        finally:
            await runner.cleanup()
