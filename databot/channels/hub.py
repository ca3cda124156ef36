"""The hub: keeps every configured channel running.

A channel that fails is started again after a growing pause, and never harms another or the daemon. The hub knows no
platform and decides nothing about messages; replies reach the channels through the outbox (`outbox`).
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
from databot.types.messages import Turn
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
TOLD = (MessageCompleted, TurnFailed)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """How a channel is; `detail` is its last error in one line."""

    name: str
    state: Literal["running", "restarting", "stopped"]
    detail: str = ""


class ChannelHub:
    """Runs channels."""

    def __init__(self, channels: Mapping[str, BaseChannel], clock: Clock) -> None:
        self.channels = channels
        self._clock = clock
        self._statuses = {name: ChannelStatus(name=name, state="stopped") for name in channels}

    def names(self) -> list[str]:
        """Every channel's name, in configuration order."""
        return list(self.channels)

    def statuses(self) -> list[ChannelStatus]:
        """Every channel, in configuration order."""
        return list(self._statuses.values())

    async def run(self, publish: Publish) -> None:
        """Keep all channels running until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, channel in self.channels.items():
                group.create_task(
                    self._keep_running(name, channel, publish), name=f"channel {name}"
                )

    def wants(self, turn: Turn, event: StreamEvent) -> bool:
        """Whether the event ends a turn that came from one of the channels, so that something waits for it."""
        return turn.message.channel in self.channels and isinstance(event, TOLD)

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

    def _set(self, name: str, state: Literal["running", "restarting"], detail: str = "") -> None:
        self._statuses[name] = ChannelStatus(name=name, state=state, detail=detail)
