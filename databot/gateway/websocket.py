"""Talk and listen on one WebSocket: messages in, the same events as everywhere out, many turns side by side.

A client sends `{"type": "message", "id", "message", "session_id"?, "bot_id"?, "agent"?}`, `{"type": "cancel", "turn_id"}`
or `{"type": "ping"}`; where it could give no key before, `{"type": "auth", "token"}` comes first and is answered with
`{"type": "authenticated"}`. A message is answered with `{"type": "accepted", "id", "turn_id", "session_id", …}` and then
`{"type": EVENT, "number", "turn_id", "data"}`; a refusal is `{"type": "error", "id"?, "error"}`.

The same `id` again is the same message and gives the first turn again: within its `session_id` also on a later
connection, without one on this connection only.
"""

from aiohttp import WSCloseCode, web

from databot.gateway.connection import Connection
from databot.gateway.context import CALLER, Gateway
from databot.gateway.credentials import BEARER_PROTOCOL
from databot.gateway.guard import client_address, offered_protocols
from databot.gateway.respond import COMMON_HEADERS
from databot.gateway.routes import Reply, Route
from databot.types.errors import RequestError, Unauthorized

PROTOCOL = "databot.v1"
HEARTBEAT_S = 25.0
CLOSE_S = 3.0
"""How long a client has to answer our goodbye."""


async def talk(gateway: Gateway, request: web.Request) -> web.StreamResponse:
    """Talk and follow turns on one WebSocket."""
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S,
        timeout=CLOSE_S,
        protocols=_protocols(request),
        max_msg_size=gateway.options.max_frame_bytes,
        compress=False,
    )
    if not socket.can_prepare(request).ok:
        raise RequestError("this route is a WebSocket", hint="send an upgrade request")
    request_id = request[CALLER].request_id
    socket.headers.update({"Server": COMMON_HEADERS["Server"], "X-Request-ID": request_id})
    await socket.prepare(request)
    gateway.metrics.open_sockets += 1
    try:
        await _serve(gateway, request, socket)
    except* ConnectionError:
        pass  # the client left; its turns go on
    finally:
        gateway.metrics.open_sockets -= 1
    return socket


async def _serve(gateway: Gateway, request: web.Request, socket: web.WebSocketResponse) -> None:
    connection = Connection(gateway, request, socket)
    try:
        async with gateway.lifetime.waiting():
            principal = await connection.authenticate(client_address(gateway.edge, request))
            await connection.converse(principal)
    except RequestError as error:
        await connection.refuse(error)
        reason = b"unauthorized" if isinstance(error, Unauthorized) else b"refused"
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason)
    except TimeoutError:
        await connection.say_goodbye()
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"databot is restarting")
    finally:
        connection.close()


def _protocols(request: web.Request) -> tuple[str, ...]:
    """What to choose from: our own name first; a lone key must be echoed, or browsers hang up."""
    keys = [each for each in offered_protocols(request) if each.startswith(BEARER_PROTOCOL)]
    return (PROTOCOL, *keys[:1])


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/ws",
        handler=talk,
        permission="user",
        summary="Talk and follow turns on one WebSocket",
        replies={101: Reply(description="Frames are JSON objects with a `type`.")},
        socket=True,
    ),
)
