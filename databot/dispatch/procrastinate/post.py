"""What replicas tell each other beside the work: notices, and the events of turns, through LISTEN and NOTIFY.

Two channels are heard: the one of all replicas, and this replica's own. What is to be sent waits in memory, bounded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator

from psycopg import Notify
from psycopg.sql import SQL, Identifier

from databot.dispatch.base import Notice, NumberedEvent, TurnKey
from databot.dispatch.events import Reader
from databot.dispatch.procrastinate.listening import Listening
from databot.dispatch.procrastinate.outages import Outages
from databot.dispatch.procrastinate.server import COMMAND_TIMEOUT_S, Server
from databot.dispatch.procrastinate.telling import Telling
from databot.dispatch.procrastinate.wire import (
    BROKEN,
    Joining,
    Left,
    Message,
    Said,
    Told,
    Wants,
    cut,
    read,
    write,
)
from databot.types.clock import Clock

log = logging.getLogger(__name__)
LISTENING, TELLING = "listening", "telling"
PAUSE_S = 0.05
"""Between two rounds of sending: what happens meanwhile goes out together."""
RENEW_S = 3.0
SILENCE_S = 5.0
"""A connection that heard nothing for so long is asked whether it is alive."""
MOST_WAITING = 2_000


class Post:
    """Hears and sends for one replica."""

    def __init__(self, server: Server, replica: str, clock: Clock, outages: Outages) -> None:
        self._server = server
        self._clock = clock
        self._outages = outages
        self._replica = replica
        self._everyone = f"{server.address.schema}.all"
        self._own = f"{server.address.schema}.{replica}"
        self._out: deque[Message] = deque(maxlen=MOST_WAITING)
        self._due = asyncio.Event()
        self._sent = 0
        self._joining = Joining()
        self._events = Reader()
        self._telling = Telling(clock)
        self._listening = Listening(self._own, self._post)
        self._notices: asyncio.Queue[Notice] = asyncio.Queue(MOST_WAITING)

    def announce(self, notice: Notice) -> None:
        self._note(notice)
        self._post(Said(sender=self._replica, notice=notice))

    async def notices(self) -> AsyncIterator[Notice]:
        while True:
            yield await self._notices.get()

    def _note(self, notice: Notice) -> None:
        if not self._notices.full():  # nobody has listened for long
            self._notices.put_nowait(notice)

    def tell(self, turn: TurnKey, item: NumberedEvent) -> None:
        if self._telling.tell(turn, item):
            self._due.set()

    def listen(self, turn: TurnKey, after: int) -> AsyncIterator[NumberedEvent]:
        return self._listening.listen(turn, after)

    def _post(self, message: Message) -> None:
        self._out.append(message)
        self._due.set()

    async def hear(self) -> None:
        """Listen until the connection breaks."""
        async with self._server.connection() as connection:
            for channel in (self._everyone, self._own):
                await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
            self._joining.forget()
            self._listening.want_all(again=True)  # what came while nobody heard it is lost
            self._outages.over(LISTENING)
            while True:
                async for notification in connection.notifies(timeout=SILENCE_S):
                    self._heard(notification)
                async with asyncio.timeout(COMMAND_TIMEOUT_S):
                    await connection.execute("SELECT 1")

    def _heard(self, notification: Notify) -> None:
        try:
            data = self._joining.add(notification.payload)
            message = read(data, self._events) if data else None
        except BROKEN as error:
            log.debug("dispatch: skipped a notification (%s)", type(error).__name__)
            return
        if message is not None:
            self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Said(sender=sender, notice=notice):
                if sender != self._replica:
                    self._note(notice)
            case Wants(channel=channel, wants=wants):
                for want in wants:
                    self._telling.want(want, channel)
                self._due.set()
            case Left(reader=reader):
                self._telling.left(reader)
            case Told():
                self._listening.told(message)

    async def send(self) -> None:
        """Send what is due, in rounds, until sending fails."""
        while True:
            await self._due.wait()
            await self.flush()
            await self._clock.sleep(PAUSE_S)

    async def flush(self) -> None:
        """Send what is due now."""
        self._due.clear()
        messages, self._out = self._out, deque(maxlen=MOST_WAITING)
        payloads = [
            (self._everyone, payload) for message in messages for payload in self._payloads(message)
        ]
        payloads += [
            (channel, payload)
            for channel, told in self._telling.frames()
            for payload in self._payloads(told)
        ]
        if not payloads:
            return
        try:
            await self._server.notify(payloads)
        except BaseException:  # boundary: raised again, also where it was cancelled
            # Messages are sent again, and may come twice; events are asked for again by who lacks them.
            self._out.extendleft(reversed(messages))
            self._due.set()
            raise
        self._outages.over(TELLING)

    def _payloads(self, message: Message) -> list[str]:
        self._sent += 1
        return list(cut(write(message), f"{self._replica}-{self._sent}"))

    async def renew(self) -> None:
        """Say from time to time what the readers here want, and forget those elsewhere that no longer do."""
        while True:
            await self._clock.sleep(RENEW_S)
            self._listening.want_all(again=False)
            self._telling.forget_silent()
            self._outages.settle()
