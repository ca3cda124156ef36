"""One WebSocket connection: who is there, what it asks, and the turns it follows.

Messages of a connection are accepted one after the other, so their order is kept; their answers are followed side by
side. When the client leaves, its followers stop and the turns go on.
"""

import asyncio
import logging
from contextlib import aclosing
from typing import Any, Literal

from aiohttp import WSMsgType, web

from databot.gateway.bodies import Body, MessageBody, SessionId, loads, parse
from databot.gateway.context import CALLER, Gateway
from databot.gateway.errors import UNEXPECTED, RateLimited, error_body
from databot.gateway.intake import Submission, submit
from databot.gateway.relay import Frame, event_data, frames, goodbye
from databot.gateway.respond import dumps
from databot.gateway.writing import write_bounded
from databot.types.errors import Busy, DatabotError, RequestError, Unauthorized, shorten
from databot.types.messages import Principal

log = logging.getLogger(__name__)
MAX_TURNS = 16
"""Turns one connection may follow at once; a further message is refused, not queued."""
AUTH_FRAME_CHARS = 8_192


class AuthFrame(Body):
    """The first frame of a client that could give no key before."""

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
        self._following: dict[str, Submission] = {}

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
            followers: set[asyncio.Task[None]] = set()
            async for frame in self._socket:
                text = frame.data if frame.type is WSMsgType.TEXT else ""
                turn = await self._receive(principal, text)
                if turn is not None:
                    follower = group.create_task(self._follow(principal.tenant_id, turn))
                    followers.add(follower)
                    follower.add_done_callback(followers.discard)
            for follower in tuple(followers):
                follower.cancel()

    async def say_goodbye(self) -> None:
        """End the stream of every followed turn: the daemon stops, the turns go on after the restart."""
        for turn in tuple(self._following.values()):
            await self._tell(turn, goodbye(turn.turn_id, turn.session_id))

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

    async def _receive(self, principal: Principal, text: str) -> Submission | None:
        """Do what a frame asks; the turn to follow, if it began one."""
        message_id: object = None
        try:
            frame = _object(text)
            message_id = frame.get("id")
            return await self._obey(principal, frame)
        except DatabotError as error:
            await self.refuse(error, message_id)
        except ConnectionError:
            raise
        except Exception:  # boundary: WebSocket frame
            log.exception("a WebSocket frame failed")
            await self.refuse(DatabotError(UNEXPECTED), message_id)
        return None

    async def _obey(self, principal: Principal, frame: dict[str, Any]) -> Submission | None:
        match frame.get("type"):
            case "message":
                return await self._accept(principal, parse(MessageFrame, frame))
            case "cancel":
                turn_id = parse(CancelFrame, frame).turn_id
                await self._gateway.services.engine.cancel(principal.tenant_id, turn_id)
                await self.send({"type": "cancelling", "turn_id": turn_id})
            case "ping":
                await self.send({"type": "pong"})
            case "auth":
                await self.send({"type": "authenticated"})
            case _:
                raise RequestError("type: must be one of message, cancel, ping, auth")
        return None

    async def _accept(self, principal: Principal, frame: MessageFrame) -> Submission | None:
        self._spend(self._caller.bucket)
        if len(self._following) >= MAX_TURNS:
            raise Busy(f"this connection already follows {MAX_TURNS} turns")
        scope = f"{frame.bot}:{frame.session_id}" if frame.session_id else self._caller.request_id
        turn = await submit(
            self._gateway, principal, frame, key=f"{scope}:{frame.id}", door="ws", stream=True
        )
        await self.send({"type": "accepted", "id": frame.id} | turn.payload)
        if turn.turn_id in self._following:
            return None
        self._following[turn.turn_id] = turn
        return turn

    async def _follow(self, tenant_id: str, turn: Submission) -> None:
        told = frames(self._gateway, tenant_id, turn.turn_id, turn.session_id)
        with self._gateway.lifetime.busy():
            async with aclosing(told):
                async for frame in told:
                    await self._tell(turn, frame)
        self._following.pop(turn.turn_id, None)

    async def _tell(self, turn: Submission, frame: Frame) -> None:
        data = await event_data(frame.event, html=False)
        shown: dict[str, Any] = {"type": frame.event.name, "turn_id": turn.turn_id, "data": data}
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
