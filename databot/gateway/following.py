"""The turns one WebSocket follows: whatever comes in any of them is told, in order, by one task.

A task for each turn would be the simpler way; it is also most of what a short turn costs its door.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from databot.core.base import Watch
from databot.gateway.context import Gateway
from databot.gateway.intake import Submission
from databot.gateway.relay import Frame, broken_off, ending, goodbye
from databot.types.events import TERMINAL

Tell = Callable[[str, Frame], Awaitable[None]]
"""Sends a frame of a turn. Raises `ConnectionError`."""


@dataclass(slots=True)
class Followed:
    """A turn and the place in it up to which the client was told."""

    tenant_id: str
    turn: Submission
    watch: Watch | None = None
    problem: Exception | None = None


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
        followed = self._turns[turn_id] = Followed(tenant_id, turn)
        self._gateway.lifetime.begin()
        engine = self._gateway.services.engine
        try:
            watch = await engine.watch(tenant_id, turn_id, lambda: self._wake(turn_id))
        except Exception as error:  # boundary: event stream
            followed.problem = error
            self._wake(turn_id)
        else:
            followed.watch = watch
            if watch.fresh:
                self._wake(turn_id)

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
        for frame in await self._newer(followed):
            await self._tell(followed.turn.turn_id, frame)
            if isinstance(frame.event, TERMINAL):
                self._drop(followed)
                return

    async def _newer(self, followed: Followed) -> list[Frame]:
        """The frames to tell; the last is a terminal one when nothing comes after it, whatever broke."""
        turn_id, session_id = followed.turn.turn_id, followed.turn.session_id
        try:
            if followed.problem is not None:
                raise followed.problem
            if (watch := followed.watch) is None:
                return []  # it is being looked for; what it has by then is seen there
            found = [Frame(item.number, item.event) for item in watch.take()]
            if not watch.ended or (found and isinstance(found[-1].event, TERMINAL)):
                return found
            return [*found, await ending(self._gateway, followed.tenant_id, turn_id, session_id)]
        except Exception as error:  # boundary: event stream
            return [broken_off(turn_id, session_id, error)]

    def _wake(self, turn_id: str) -> None:
        self._news[turn_id] = None
        self._woken.set()

    def _drop(self, followed: Followed) -> None:
        del self._turns[followed.turn.turn_id]
        if followed.watch is not None:
            followed.watch.close()
        self._gateway.lifetime.end()
