"""The hub: keeps every configured channel running and hands it the replies that are its own.

A channel that fails is started again after a growing pause, and never harms another or the daemon. The hub knows no
platform and decides nothing about messages.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from databot.channels.base import BaseChannel, Publish
from databot.types.clock import Clock
from databot.types.errors import DatabotError, describe
from databot.types.events import MessageCompleted, StreamEvent, TurnFailed
from databot.types.messages import OutboundMessage, Turn
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
TOLD = (MessageCompleted, TurnFailed)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
SEND_TRIES = 3
SEND_TIMEOUT_S = 30.0
SENDS_AT_ONCE = 8
"""Replies that one channel is handed side by side: one slow chat holds up no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel is; `detail` is its last error in one line."""

    name: str
    state: Literal["running", "restarting", "stopped"]
    detail: str = ""


class ChannelHub:
    """Runs channels and delivers to them."""

    def __init__(self, channels: Mapping[str, BaseChannel], clock: Clock) -> None:
        self._channels = channels
        self._clock = clock
        self._statuses = {name: ChannelStatus(name=name, state="stopped") for name in channels}
        self._places = {name: asyncio.Semaphore(SENDS_AT_ONCE) for name in channels}

    def names(self) -> list[str]:
        """Every channel's name, in configuration order."""
        return list(self._channels)

    def statuses(self) -> list[ChannelStatus]:
        """Every channel, in configuration order."""
        return list(self._statuses.values())

    async def run(self, publish: Publish) -> None:
        """Keep all channels running until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, channel in self._channels.items():
                group.create_task(
                    self._keep_running(name, channel, publish), name=f"channel {name}"
                )

    def wants(self, turn: Turn, event: StreamEvent) -> bool:
        """Whether the event is one of those that a channel is told, and the turn came from one."""
        return turn.message.channel in self._channels and isinstance(event, TOLD)

    async def on_event(self, turn: Turn, event: StreamEvent) -> None:
        """Deliver a finished reply, or the line that says why there is none, to the channel it came from."""
        if not self.wants(turn, event):
            return
        if isinstance(event, MessageCompleted):
            await self._send(turn.message.channel, event.message)
        elif isinstance(event, TurnFailed):
            await self._send(turn.message.channel, failure_message(turn, event))

    async def _keep_running(self, name: str, channel: BaseChannel, publish: Publish) -> None:
        pause = FIRST_PAUSE_S
        while True:
            self._set(name, "running")
            begun = self._clock.monotonic()
            try:
                await channel.run(publish)
                detail = "it ended by itself"
            except DatabotError as error:
                detail = describe(error)
            except asyncio.CancelledError as error:
                if was_asked_to_stop():
                    raise
                log.exception("channel %s failed", name)
                detail = describe(error)
            except Exception as error:  # boundary: supervisor
                log.exception("channel %s failed", name)
                detail = describe(error)
            if self._clock.monotonic() - begun > LONGEST_PAUSE_S:
                pause = FIRST_PAUSE_S
            self._set(name, "restarting", detail)
            log.warning("channel %s stopped (%s); it starts again in %g s", name, detail, pause)
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _send(self, name: str, message: OutboundMessage) -> None:
        async with self._places[name]:
            await self._try_to_send(name, message)

    async def _try_to_send(self, name: str, message: OutboundMessage) -> None:
        for attempt in range(1, SEND_TRIES + 1):
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._channels[name].send(message, f"{message.turn_id}:000")
                    return
            except Exception as error:  # boundary: channel delivery
                log.warning("channel %s did not take reply %s: %s", name, message.turn_id, error)
            if attempt < SEND_TRIES:
                await self._clock.sleep(FIRST_PAUSE_S * attempt)
        log.error("reply %s was not delivered on %s; the session log has it", message.turn_id, name)

    def _set(self, name: str, state: Literal["running", "restarting"], detail: str = "") -> None:
        self._statuses[name] = ChannelStatus(name=name, state=state, detail=detail)


def failure_message(turn: Turn, event: TurnFailed) -> OutboundMessage:
    """The line a person gets instead of an answer."""
    message = turn.message
    return OutboundMessage(
        channel=message.channel,
        chat_id=message.chat_id,
        thread_id=message.thread_id,
        tenant_id=message.tenant_id,
        bot_id=message.bot_id,
        session_id=message.session_id,
        turn_id=turn.id,
        content=f"I could not answer: {event.reason}",
        finish_reason="cancelled" if event.error == "cancelled" else "failed",
    )
