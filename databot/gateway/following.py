"""The turns one WebSocket follows: whatever comes in any of them is told, in order, by one task.

A task for each turn would be the simpler way; it is also most of what a short turn costs its door.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from databot.gateway.context import Gateway
from databot.gateway.intake import Submission
from databot.gateway.relay import Frame, TurnReader, goodbye
from databot.types.events import TERMINAL

Tell = Callable[[str, Frame], Awaitable[None]]
"""Sends a frame of a turn. Raises `ConnectionError`."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A turn, and its client's place in it."""

    turn: Submission
    reader: TurnReader


class Following:
    """Which turns are followed, and which of them have news."""

    def __init__(self, gateway: Gateway, tell: Tell) -> None:
        self._gateway = gateway
        self._tell = tell
        self._turns: dict[str, Followed] = {}
        self._news: dict[str, None] = {}
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._turns)

    async def add(self, tenant_id: str, turn: Submission) -> None:
        """Follow the turn from its first event; one that is followed already is not told twice."""
        turn_id = turn.turn_id
        if turn_id in self._turns:
            return
        ids = (tenant_id, turn_id, turn.session_id)
        reader = TurnReader(self._gateway, ids, lambda: self._wake(turn_id))
        self._turns[turn_id] = Followed(turn, reader)
        self._gateway.lifetime.begin()
        await reader.open()

    async def run(self) -> None:
        """Tell what comes, until cancelled. Raises `ConnectionError` when the client is gone."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._news:
                turn_id = next(iter(self._news))
                del self._news[turn_id]
                if (followed := self._turns.get(turn_id)) is not None:
                    await self._catch_up(followed)

    def close(self) -> None:
        """Follow nothing any more; the turns go on."""
        for followed in tuple(self._turns.values()):
            self._drop(followed)

    async def say_goodbye(self) -> None:
        """End the stream of every followed turn: the daemon stops, the turns go on after the restart."""
        for followed in tuple(self._turns.values()):
            turn = followed.turn
            await self._tell(turn.turn_id, goodbye(turn.turn_id, turn.session_id))

    async def _catch_up(self, followed: Followed) -> None:
        """Tell what the client has not seen; the turn's end also ends the following."""
        for frame in await followed.reader.take():
            await self._tell(followed.turn.turn_id, frame)
            if isinstance(frame.event, TERMINAL):
                self._drop(followed)
                return

    def _wake(self, turn_id: str) -> None:
        self._news[turn_id] = None
        self._woken.set()

    def _drop(self, followed: Followed) -> None:
        del self._turns[followed.turn.turn_id]
        followed.reader.close()
        self._gateway.lifetime.end()
