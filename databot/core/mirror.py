"""Streams of turns that run elsewhere, kept here for readers who came to this replica.

What the other replica tells comes through dispatch and keeps its numbers. Dispatch may lose things, so the store is
asked again and again whether the turn has ended; its end is then told from there. A mirror lives while it is read.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from databot.core.ending import final_events
from databot.core.streams import TurnStreams
from databot.core.supervisor import Supervisor
from databot.dispatch.base import Dispatch, TurnKey
from databot.storage.base import OPEN_STATES, Inbox
from databot.types.clock import Clock
from databot.types.closing import closing
from databot.types.errors import StorageError
from databot.types.events import StreamEvent

log = logging.getLogger(__name__)
FIRST_LOOK_S, LONGEST_PAUSE_S = 0.5, 2.0
LOOKS_LEFT = 2
"""So often the store must say that a turn has ended before its end is not waited for any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorParts:
    """What mirrors are made of; `runs_here` says that a turn's events come by themselves."""

    streams: TurnStreams
    inbox: Inbox
    dispatch: Dispatch
    clock: Clock
    runs_here: Callable[[str], bool]


class Mirrors:
    """The mirrors of one replica."""

    def __init__(self, parts: MirrorParts, supervisor: Supervisor) -> None:
        self._parts = parts
        self._supervisor = supervisor
        self._followed: set[TurnKey] = set()

    def follow(self, turn: TurnKey) -> None:
        """Fill the turn's stream with what is told elsewhere, as long as somebody reads it."""
        if turn in self._followed or self._parts.runs_here(turn.turn_id):
            return
        self._followed.add(turn)
        self._supervisor.spawn(self._mirror(turn), name=f"mirror {turn.turn_id}")

    async def _mirror(self, turn: TurnKey) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(turn))
                await self._until_over(turn)
                listening.cancel()
        finally:
            self._followed.discard(turn)
            if not self._parts.runs_here(turn.turn_id):
                self._parts.streams.forget(turn.tenant_id, turn.turn_id)

    async def _listen(self, turn: TurnKey) -> None:
        streams = self._parts.streams
        last = streams.open(turn.tenant_id, turn.turn_id).last
        async with closing(self._parts.dispatch.listen(turn, after=last)) as told:
            async for item in told:
                streams.put(turn.tenant_id, turn.turn_id, item)

    async def _until_over(self, turn: TurnKey) -> None:
        """Until the stream has ended, nobody reads it, or its events come by themselves."""
        pause, left, end = FIRST_LOOK_S, LOOKS_LEFT, tuple[StreamEvent, ...]()
        while left:
            await self._parts.clock.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
            stream = self._parts.streams.open(turn.tenant_id, turn.turn_id)
            if stream.ended or not stream.is_read or self._parts.runs_here(turn.turn_id):
                return
            end = await self._end(turn)
            if end:
                pause, left = FIRST_LOOK_S, left - 1
        for event in end:
            self._parts.streams.add(turn.tenant_id, turn.turn_id, event)

    async def _end(self, turn: TurnKey) -> Sequence[StreamEvent]:
        """The events that end the turn, as the store has it; none while it is open, or the store does not say."""
        try:
            record = await self._parts.inbox.turn(turn.tenant_id, turn.turn_id)
        except StorageError:
            return ()  # asked again
        is_open = record is not None and record.state in OPEN_STATES
        return () if is_open else final_events(turn.turn_id, record)
