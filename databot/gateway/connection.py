"""One WebSocket connection: who is there, what it asks, and the turns it follows.

Messages of a connection are accepted one after the other, so their order is kept; their answers are followed side by
side. When the client leaves, nothing of it is followed any more and the turns go on.
"""

import asyncio
import logging
from typing import Any, Literal

from aiohttp import WSMsgType, web

from databot.gateway.bodies import Body, MessageBody, SessionId, loads, parse
from databot.gateway.context import CALLER, Gateway
from databot.gateway.errors import UNEXPECTED, RateLimited, error_body
from databot.gateway.following import Following
from databot.gateway.intake import submit
from databot.gateway.relay import Frame
from databot.gateway.respond import dumps
from databot.gateway.writing import write_bounded
from databot.types.errors import Busy, DatabotError, RequestError, Unauthorized, shorten
from databot.types.events import payload
from databot.types.messages import Principal

log = logging.getLogger(__name__)
AUTH_FRAME_CHARS = 8_192


class AuthFrame(Body):
    """The first frame of a client that could give no key before; a later one must hold the same key."""

    type: Literal["auth"]
    token: str


class MessageFrame(MessageBody):
    """A message; `id` is the client's own name for it."""

    type: Literal["message"]
    id: SessionId


class CancelFrame(Body):
    """Stop a turn."""

    type: Literal["cancel"]
    turn_id: str


class Connection:
    """Serves one open socket until the client leaves."""

    def __init__(
        self, gateway: Gateway, request: web.Request, socket: web.WebSocketResponse
    ) -> None:
        self._gateway = gateway
        self._transport = request.transport
        self._socket = socket
        self._caller = request[CALLER]
        self._following = Following(gateway, self._tell)

    async def authenticate(self, address: str) -> Principal:
        """Who is there. Raises `Unauthorized` or `RateLimited`; nothing but an `auth` frame is read before."""
        if self._caller.principal is not None:
            return self._caller.principal
        principal = self._gateway.edge.credentials.principal(await self._token())
        if principal is None:
            self._spend(f"ip:{address}")
            raise Unauthorized("this API key is not valid")
        self._caller.principal = principal
        self._caller.bucket = f"key:{principal.tenant_id}:{principal.id}"
        await self.send({"type": "authenticated"})
        return principal

    async def converse(self, principal: Principal) -> None:
        """Read frames until the client leaves."""
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._following.run())
            async for frame in self._socket:
                await self._receive(principal, frame.data if frame.type is WSMsgType.TEXT else "")
            telling.cancel()

    async def say_goodbye(self) -> None:
        """The daemon stops: end what the client still follows."""
        await self._following.say_goodbye()

    def close(self) -> None:
        """Follow nothing any more."""
        self._following.close()

    async def refuse(self, error: DatabotError, message_id: object = None) -> None:
        """Tell the client why not."""
        frame = {"type": "error"} | error_body(error, self._caller.request_id)
        if isinstance(message_id, str):
            frame["id"] = shorten(message_id, 200)
        await self.send(frame)

    async def send(self, payload: object) -> None:
        """One frame. Raises `ConnectionError`, also for a client that does not read."""
        await write_bounded(self._transport, dumps(payload), self._write)

    async def _write(self, data: bytes) -> None:
        await self._socket.send_frame(data, WSMsgType.TEXT)

    async def _token(self) -> str:
        limit_s = self._gateway.options.auth_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                frame = await self._socket.receive()
        except TimeoutError as error:
            raise Unauthorized(f"no auth frame within {limit_s:g} s") from error
        if frame.type is not WSMsgType.TEXT or len(frame.data) > AUTH_FRAME_CHARS:
            raise Unauthorized("the first frame must be an auth frame")
        try:
            return parse(AuthFrame, loads(frame.data)).token
        except RequestError as error:
            raise Unauthorized("the first frame must be an auth frame") from error

    async def _receive(self, principal: Principal, text: str) -> None:
        """Do what a frame asks, or say why not."""
        message_id: object = None
        try:
            frame = _object(text)
            message_id = frame.get("id")
            await self._obey(principal, frame)
        except DatabotError as error:
            await self.refuse(error, message_id)
        except ConnectionError:
            raise
        except Exception:  # boundary: WebSocket frame
            log.exception("a WebSocket frame failed")
            await self.refuse(DatabotError(UNEXPECTED), message_id)

    async def _obey(self, principal: Principal, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "message":
                await self._accept(principal, parse(MessageFrame, frame))
            case "cancel":
                turn_id = parse(CancelFrame, frame).turn_id
                await self._gateway.services.engine.cancel(principal.tenant_id, turn_id)
                await self.send({"type": "cancelling", "turn_id": turn_id})
            case "ping":
                await self.send({"type": "pong"})
            case "auth":
                self._check_again(principal, parse(AuthFrame, frame))
                await self.send({"type": "authenticated"})
            case _:
                raise RequestError("type: must be one of message, cancel, ping, auth")

    def _check_again(self, principal: Principal, frame: AuthFrame) -> None:
        """A key sent by one who is known must be its own; without keys there is nothing to check."""
        credentials = self._gateway.edge.credentials
        if not credentials:
            return
        self._spend(self._caller.bucket)
        if credentials.principal(frame.token) != principal:
            raise Unauthorized("this is not the API key the connection was opened with")

    async def _accept(self, principal: Principal, frame: MessageFrame) -> None:
        self._spend(self._caller.bucket)
        if len(self._following) >= (most := self._gateway.options.max_followed_turns):
            raise Busy(f"this connection already follows {most} turns")
        scope = f"{frame.bot}:{frame.session_id}" if frame.session_id else self._caller.request_id
        turn = await submit(
            self._gateway, principal, frame, key=f"{scope}:{frame.id}", door="ws", stream=True
        )
        await self.send({"type": "accepted", "id": frame.id} | turn.payload)
        await self._following.add(principal.tenant_id, turn)

    async def _tell(self, turn_id: str, frame: Frame) -> None:
        event = frame.event
        shown: dict[str, Any] = {"type": event.name, "turn_id": turn_id, "data": payload(event)}
        if frame.number is not None:
            shown["number"] = frame.number
        await self.send(shown)

    def _spend(self, bucket: str) -> None:
        if (wait := self._gateway.edge.limiter.take(bucket)) > 0:
            raise RateLimited("too many messages", retry_after_s=wait)


def _object(text: str) -> dict[str, Any]:
    value = loads(text) if text else None
    if not isinstance(value, dict):
        raise RequestError("a frame must be a text frame that holds a JSON object")
    return value
