"""`ProcrastinateDispatch`: the contract of dispatch kept by PostgreSQL alone.

Signals are procrastinate's jobs, everything else goes through NOTIFY. Parts that fail are begun anew with a growing
pause; none of it raises to who signals, announces, tells or listens.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from databot.dispatch.base import Notice, NumberedEvent, TurnKey
from databot.dispatch.procrastinate.errors import OUTAGE, trouble_of
from databot.dispatch.procrastinate.outages import Outages, keep_on
from databot.dispatch.procrastinate.post import LISTENING, TELLING, Post
from databot.dispatch.procrastinate.server import CLOSE_TIMEOUT_S, Server
from databot.dispatch.procrastinate.signals import SENDING, TAKING, TIDYING, Signals
from databot.types.clock import Clock, Ids
from databot.types.errors import DispatchUnavailable
from databot.types.messages import ConversationKey

FLUSH_TIMEOUT_S = 2.0


class ProcrastinateDispatch:
    """Implements `Dispatch`. Its parts run while `parts` are awaited."""

    shared = True

    def __init__(self, server: Server, clock: Clock, ids: Ids) -> None:
        self._server = server
        self._clock = clock
        self._outages = Outages(server.address, clock)
        self._signals = Signals(server, clock, self._outages)
        self._post = Post(server, ids.new("replica")[-16:], clock, self._outages)

    @property
    def outages(self) -> int:
        """How often the server was away."""
        return self._outages.count

    @property
    def lost(self) -> int:
        """Signals given up because too many waited; the sweeper finds their conversations."""
        return self._signals.lost

    async def signal(self, conversation: ConversationKey) -> None:
        self._signals.signal(conversation)

    def signals(self) -> AsyncIterator[ConversationKey]:
        return self._signals.signals()

    async def announce(self, notice: Notice) -> None:
        self._post.announce(notice)

    def notices(self) -> AsyncIterator[Notice]:
        return self._post.notices()

    def tell(self, turn: TurnKey, item: NumberedEvent) -> None:
        self._post.tell(turn, item)

    def listen(self, turn: TurnKey, *, after: int = 0) -> AsyncIterator[NumberedEvent]:
        return self._post.listen(turn, after)

    async def check(self) -> str:
        from procrastinate import __version__

        try:
            version = await self._server.check()
        except OUTAGE as error:
            trouble = trouble_of(error)
            raise DispatchUnavailable(
                f"dispatch: PostgreSQL {self._server.address} {trouble.what}", hint=trouble.hint
            ) from error
        return f"PostgreSQL {version} at {self._server.address}, procrastinate {__version__}"

    async def open(self) -> None:
        await self._signals.open()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run for as long as dispatch is used."""
        work = {
            LISTENING: self._post.hear,
            TELLING: self._post.send,
            "renewing": self._post.renew,
            SENDING: self._signals.send,
            TAKING: self._signals.take,
            TIDYING: self._signals.tidy,
        }
        return [keep_on(part, run, self._outages, self._clock) for part, run in work.items()]

    async def flush(self) -> None:
        """Say what is still to be said, and give back what was not handed on, unless the server is away."""
        self._signals.give_back()
        if self._outages.now:
            return
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self._signals.flush()
                await self._post.flush()
        except OUTAGE as error:
            self._outages.began("closing", error)

    async def close(self) -> None:
        await self._server.pool.close(timeout=CLOSE_TIMEOUT_S)
