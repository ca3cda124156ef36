"""A turn's events as a client sees them, whatever the wire: numbered facts that end in exactly one terminal one.

The engine tells what happened; this adds what only a door can know: that the daemon is stopping, that the stream broke
off, and the safe HTML a page asked for.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

from databot.core.base import Wake, Watch
from databot.gateway.context import Gateway
from databot.gateway.errors import ShuttingDown
from databot.gateway.markdown import to_html
from databot.storage.base import OPEN_STATES, TurnRecord
from databot.types.errors import DatabotError, describe
from databot.types.events import (
    TERMINAL,
    MessageCompleted,
    StreamEvent,
    TurnFailed,
    TurnFinished,
    payload,
)

log = logging.getLogger(__name__)


class Frame(NamedTuple):
    """One event on its way out; `number` is `None` for what the door itself says, which is not in the turn's stream."""

    number: int | None
    event: StreamEvent


class TurnReader:
    """One client's place in a turn: its frames as they come, always ended by one terminal frame, whatever breaks.

    `wake` is called when there may be something to take; `turn` is the tenant, the turn and the session.
    """

    def __init__(self, gateway: Gateway, turn: tuple[str, str, str], wake: Wake) -> None:
        self._gateway = gateway
        self._turn = turn
        self._wake = wake
        self._watch: Watch | None = None
        self._problem: Exception | None = None

    async def open(self, *, after: int = 0) -> None:
        """Begin behind the event `after`. What goes wrong here is told as the turn's end."""
        tenant_id, turn_id, _ = self._turn
        engine = self._gateway.services.engine
        try:
            self._watch = await engine.watch(tenant_id, turn_id, self._wake, after=after)
        except Exception as error:  # boundary: event stream
            self._problem = error
        if self._watch is None or self._watch.fresh:
            self._wake()

    @property
    def fresh(self) -> bool:
        """There is something to take already."""
        return self._problem is not None or self._watch is None or self._watch.fresh

    async def take(self) -> list[Frame]:
        """What came since the last time; nothing comes after a terminal frame."""
        _, turn_id, session_id = self._turn
        try:
            if self._problem is not None:
                raise self._problem
            if self._watch is None:
                return []  # it is being opened, and wakes us then
            found = [Frame(item.number, item.event) for item in self._watch.take()]
            if not self._watch.ended or (found and isinstance(found[-1].event, TERMINAL)):
                return found
            return [*found, await ending(self._gateway, *self._turn)]
        except Exception as error:  # boundary: event stream
            return [broken_off(turn_id, session_id, error)]

    def close(self) -> None:
        """Read no more; the turn goes on."""
        if self._watch is not None:
            self._watch.close()


async def frames(
    gateway: Gateway, turn: tuple[str, str, str], *, after: int = 0, quiet: Sequence[Frame] = ()
) -> AsyncGenerator[Frame]:
    """The frames of a turn (tenant, turn, session) behind `after`, one by one, up to the terminal one.

    `quiet` is told first where the stream has nothing to tell yet.
    """
    news = asyncio.Event()
    reader = TurnReader(gateway, turn, news.set)
    try:
        await reader.open(after=after)
        for frame in () if reader.fresh else quiet:
            yield frame
        while True:
            await news.wait()
            news.clear()
            for frame in await reader.take():
                yield frame
                if isinstance(frame.event, TERMINAL):
                    return
    finally:
        reader.close()


def broken_off(turn_id: str, session_id: str, error: Exception) -> Frame:
    """The stream cannot go on; the turn itself may."""
    if not isinstance(error, DatabotError):
        log.error("the events of %s broke off", turn_id, exc_info=error)
    kind = error.type if isinstance(error, DatabotError) else DatabotError.type
    failed = TurnFailed(turn_id=turn_id, session_id=session_id, error=kind, reason=describe(error))
    return Frame(None, failed)


def goodbye(turn_id: str, session_id: str) -> Frame:
    """The daemon stops; the turn goes on after the restart, where `Last-Event-ID` still holds."""
    return broken_off(turn_id, session_id, ShuttingDown("databot is restarting"))


async def event_data(event: StreamEvent, *, html: bool) -> dict[str, Any]:
    """The event's data; a whole reply with its safe HTML when the reader is a page."""
    data = payload(event)
    if html and isinstance(event, MessageCompleted | TurnFinished):
        data["html"] = await to_html(event.message.content)
    return data


async def ending(gateway: Gateway, tenant_id: str, turn_id: str, session_id: str) -> Frame:
    """The terminal event of a reader who already had the last one, or whose stream ended without it."""
    record = await gateway.services.inbox.turn(tenant_id, turn_id)
    event = _terminal(record) if record is not None else None
    if event is None:
        error = DatabotError("the stream ended early", hint="read the turn for its state")
        return broken_off(turn_id, session_id, error)
    return Frame(None, event)


def _terminal(record: TurnRecord) -> StreamEvent | None:
    if record.state in OPEN_STATES:
        return None
    if record.reply is not None:
        return TurnFinished(turn_id=record.turn_id, message=record.reply)
    error = record.error or {"type": "cancelled", "message": "the turn was cancelled"}
    return TurnFailed(
        turn_id=record.turn_id,
        session_id=record.conversation.session_id,
        error=error.get("type", DatabotError.type),
        reason=error.get("message", ""),
    )
