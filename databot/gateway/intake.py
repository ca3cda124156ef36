"""A checked message on its way to the engine: the same for every HTTP door."""

import re
from dataclasses import dataclass

from aiohttp import web

from databot.gateway.bodies import MessageBody, read_attachments
from databot.gateway.context import Gateway
from databot.gateway.errors import ShuttingDown
from databot.types.errors import RequestError, TooLarge
from databot.types.messages import InboundMessage, Principal
from databot.types.repeats import check_repeated

IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A message that was accepted, and where its answer appears."""

    turn_id: str
    session_id: str
    duplicate: bool

    @property
    def headers(self) -> dict[str, str]:
        """The ids, for clients that want them before the first event."""
        session = self.session_id
        shown = {"X-Session-ID": session} if session.isascii() else {}
        return {"X-Turn-ID": self.turn_id} | shown

    @property
    def payload(self) -> dict[str, object]:
        return {
            "turn_id": self.turn_id,
            "session_id": self.session_id,
            "events_url": f"/api/v1/turns/{self.turn_id}/events",
            "duplicate": self.duplicate,
        }


def idempotency_key(request: web.Request) -> str | None:
    """The client's own name for this request. Raises `RequestError`."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestError("Idempotency-Key must be 1 to 200 visible ASCII characters")
    return key


async def submit(
    gateway: Gateway,
    principal: Principal,
    body: MessageBody,
    *,
    key: str | None,
    door: str,
    stream: bool = False,
) -> Submission:
    """Commit the message. The same `key` of the same caller gives the first turn again.

    Raises what `Engine.publish` raises, `Conflict` for a key used for another message, `ShuttingDown`.
    """
    if gateway.lifetime.draining:
        raise ShuttingDown
    message = await _inbound(gateway, principal, body, key, stream=stream)
    accepted = await gateway.services.engine.publish(message)
    gateway.metrics.turn(door)
    session_id = message.session_id
    if accepted.duplicate:
        record = await gateway.services.inbox.turn(message.tenant_id, accepted.turn_id)
        if record is not None:
            check_repeated(record.message, message, named=body.session_id is not None)
            session_id = record.conversation.session_id
    return Submission(turn_id=accepted.turn_id, session_id=session_id, duplicate=accepted.duplicate)


def check_text(text: str, limit: int) -> None:
    """Refuse what no bot can answer. Raises `RequestError` or `TooLarge`."""
    if len(text) > limit:
        raise TooLarge(f"the message has {len(text):,} characters; the limit is {limit:,}")
    if "\x00" in text:
        raise RequestError("message: it holds a NUL character, so it is not text")
    if not text.strip():
        raise RequestError("message: it is empty")


async def _inbound(
    gateway: Gateway, principal: Principal, body: MessageBody, key: str | None, *, stream: bool
) -> InboundMessage:
    check_text(body.message, gateway.options.max_message_chars)
    return InboundMessage(
        channel="http",
        chat_id=body.session_id or gateway.ids.new("s"),
        sender_id=principal.id,
        content=body.message,
        principal=principal,
        stream=stream,
        # Two callers of one tenant may choose the same key; each has its own names.
        message_id=f"{principal.id}:{key}" if key is not None else None,
        attachments=await read_attachments(body.attachments) if body.attachments else (),
        tenant_id=principal.tenant_id,
        bot_id=body.bot,
        agent=body.agent,
    )
