"""What clients send: JSON bodies, checked once and turned into an `InboundMessage`.

Unknown fields are ignored, so that a newer client can talk to an older daemon. Values are never coerced: `"true"` is not
a boolean. Every refusal is a 400 that says where, except a body or message over its limit (413), another content type
(415) and a body that does not arrive (408).
"""

import asyncio
import base64
import binascii
import re
from typing import Annotated, Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from databot.gateway.errors import SlowBody, UnreadBody, UnsupportedMediaType
from databot.types.errors import RequestError, shorten
from databot.types.messages import DEFAULT_BOT, Attachment

MAX_ATTACHMENTS = 10
MAX_PROBLEMS = 10
INLINE_BYTES = 256_000
"""Larger bodies are decoded in a thread, so that they hold up nobody else."""


UNSEEN = r"\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
"""Control characters, and those that show nothing or turn the writing round."""
PRINTABLE = rf"^[^{UNSEEN}]*[^\s{UNSEEN}][^{UNSEEN}]*$"
PRINTED = re.compile(PRINTABLE)
TEXT = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def _printable(text: str) -> str:
    if not PRINTED.match(text):
        raise ValueError("must be printable characters, not only spaces")
    return text


# The pattern is documented and checked here: a client is told what is wrong, not an expression it did not match.
SessionId = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"pattern": PRINTABLE}),
    AfterValidator(_printable),
]
FileName = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={"pattern": PRINTABLE}),
    AfterValidator(_printable),
]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
MediaType = Annotated[str, Field(pattern=r"^[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}$")]


class Body(BaseModel):
    """Base of what is read from clients."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


class AttachmentBody(Body):
    """A file sent with a message."""

    name: FileName
    media_type: MediaType = "application/octet-stream"
    data: str = Field(description="The bytes, base64.", json_schema_extra={"format": "byte"})


class MessageBody(Body):
    """A message to a bot; a new `session_id`, or none, begins a conversation."""

    message: str = Field(
        min_length=1,
        description="What the person says: text, not only spaces.",
        json_schema_extra={"pattern": TEXT},
    )
    bot_id: Identifier | None = Field(default=None, description="Which bot; `default` if left out.")
    session_id: SessionId | None = Field(default=None, description="Which conversation.")
    agent: Identifier | None = Field(default=None, description="Force this specialist.")
    attachments: list[AttachmentBody] = Field(
        default_factory=list[AttachmentBody], max_length=MAX_ATTACHMENTS, description="Files."
    )

    @property
    def bot(self) -> str:
        return self.bot_id or DEFAULT_BOT


class ChatBody(MessageBody):
    """A message, and whether the answer is streamed."""

    stream: bool = Field(default=False, description="Answer as a stream of server-sent events.")


class DecisionBody(Body):
    """A person's word on a tool call."""

    decision: Literal["approve", "deny"]
    note: str = Field(
        default="", max_length=2000, description="Why; the model reads it when the call is denied."
    )


M = TypeVar("M", bound=Body)


async def read_body(request: web.Request, model: type[M], timeout_s: float) -> M:
    """The body as `model`."""
    kind = request.content_type
    if "Content-Type" not in request.headers or not (
        kind == "application/json" or kind.endswith("+json")
    ):
        raise UnsupportedMediaType("the body must be JSON", hint="Content-Type: application/json")
    raw = await _receive(request, timeout_s)
    if len(raw) > INLINE_BYTES:
        return await asyncio.to_thread(_decode, raw, model)
    return _decode(raw, model)


async def _receive(request: web.Request, timeout_s: float) -> bytes:
    try:
        if request.content.is_eof():  # it came with the headers, as most do: nothing to wait for
            return await request.read()
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError as error:
        raise SlowBody(f"the body did not arrive within {timeout_s:g} s") from error
    except web.RequestPayloadError as error:
        raise UnreadBody("the body is not what Content-Encoding says") from error
    except ConnectionError as error:  # nobody is there to be told
        raise UnreadBody("the client left before its body was whole") from error


def _decode(raw: bytes, model: type[M]) -> M:
    return parse(model, loads(raw))


def loads(raw: bytes | str) -> Any:  # noqa: ANN401 - JSON
    """JSON text as values. Raises `RequestError` with the place."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the body is not valid JSON: {error}") from error


def parse(model: type[M], value: object) -> M:
    """Values as `model`. Raises `RequestError` that names each wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [f"{_place(each['loc'])}: {each['msg']}" for each in error.errors()[:MAX_PROBLEMS]]
        text = "; ".join(shorten(each, 300) for each in found).replace("Value error, ", "")
        raise RequestError(text) from error


async def read_attachments(bodies: list[AttachmentBody]) -> tuple[Attachment, ...]:
    """The files with their bytes. Raises `RequestError` for what is not base64."""
    if sum(len(each.data) for each in bodies) > INLINE_BYTES:
        return await asyncio.to_thread(_attachments, bodies)
    return _attachments(bodies)


def _attachments(bodies: list[AttachmentBody]) -> tuple[Attachment, ...]:
    return tuple(_attachment(index, each) for index, each in enumerate(bodies))


def _attachment(index: int, body: AttachmentBody) -> Attachment:
    try:
        data = base64.b64decode(body.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"attachments.{index}.data: not valid base64") from error
    return Attachment(name=body.name, media_type=body.media_type, data=data)


def _place(location: tuple[int | str, ...]) -> str:
    return shorten(".".join(str(part) for part in location)) or "body"
