"""Sends what waits: one task, many commands a round trip.

What Redis could not take while it was away is sent when it is back; what it refuses is let go of and counted. Signals do
not wait for it: they are handed to this replica itself.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from databot.dispatch.outgoing import Outgoing, Parcel
from databot.dispatch.redis.errors import TROUBLE, reason_of
from databot.dispatch.redis.link import Command, RedisLink
from databot.types.clock import Clock
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
PART = "sending"
AT_ONCE = 1_000
KEEP_S = 600
RENEW_S = 30.0
STREAMS_REMEMBERED = 20_000


class RedisSender:
    """Drains an `Outgoing` into Redis. `fall_back` is given the signals Redis did not take."""

    def __init__(
        self,
        link: RedisLink,
        outgoing: Outgoing,
        clock: Clock,
        probe: Command,
        fall_back: Callable[[ConversationKey], None],
    ) -> None:
        self._link = link
        self._outgoing = outgoing
        self._clock = clock
        self._probe = probe
        self._fall_back = fall_back
        self._renewed: dict[str, float] = {}
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            if not len(self._outgoing):
                self._idle.set()
            batch = await self._outgoing.take(AT_ONCE)
            self._idle.clear()
            try:
                await self._send(batch)
            except TROUBLE as error:
                self._keep(batch)
                await self._recover(error)
            except Exception:  # boundary: a loop of dispatch; one batch must not end all others
                self._outgoing.lost += len(batch)
                log.exception("events for other replicas could not be sent and were dropped")

    async def flush(self, limit_s: float) -> None:
        """Wait until everything is sent, that long at most."""
        try:
            async with asyncio.timeout(limit_s):
                while len(self._outgoing) or not self._idle.is_set():
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.debug("left %d events for other replicas unsent", len(self._outgoing))

    async def _send(self, batch: Sequence[Parcel]) -> None:
        expiring = self._expiring(batch)
        answers = await self._link.run_all([*(parcel.command for parcel in batch), *expiring])
        refused = [
            (parcel, answer)
            for parcel, answer in zip(batch, answers, strict=False)
            if isinstance(answer, Exception) and not is_harmless(answer)
        ]
        if not refused:
            self._link.note_well(PART)
            return
        self._outgoing.lost += sum(1 for parcel, _ in refused if parcel.stream)
        for parcel, _ in refused:
            if parcel.signal is not None:
                self._fall_back(parcel.signal)
        await self._recover(refused[0][1])

    def _expiring(self, batch: Sequence[Parcel]) -> list[Command]:
        """Streams of turns end by themselves: say so again now and then, and at a turn's last event."""
        now = self._clock.monotonic()
        due: dict[str, None] = {}
        for parcel in batch:
            if parcel.stream:
                self._note(parcel, now, due)
        if len(self._renewed) > STREAMS_REMEMBERED:
            self._renewed.clear()
        return [("EXPIRE", stream, KEEP_S) for stream in due]

    def _note(self, parcel: Parcel, now: float, due: dict[str, None]) -> None:
        stream = parcel.stream
        if parcel.ends:
            self._renewed.pop(stream, None)
            due[stream] = None
        elif now - self._renewed.get(stream, -RENEW_S) >= RENEW_S:
            self._renewed[stream] = now
            due[stream] = None

    def _keep(self, batch: Sequence[Parcel]) -> None:
        """Events and notices are sent again later: an event's number makes that harmless."""
        for parcel in batch:
            if parcel.signal is not None:
                self._fall_back(parcel.signal)
            if parcel.stream:
                self._renewed.pop(parcel.stream, None)
        self._outgoing.put_back([parcel for parcel in batch if parcel.signal is None])

    async def _recover(self, error: Exception) -> None:
        """Try until Redis takes a write again."""
        while True:
            self._link.note_trouble(PART, error)
            await self._link.pause(PART)
            try:
                await self._link.run(*self._probe)
            except TROUBLE as later:
                error = later
                log.debug("Redis at %s still %s", self._link.where, reason_of(error)[0])
            else:
                self._link.note_well(PART)
                return


def is_harmless(answer: Exception) -> bool:
    """Whether the server has what it was sent already, or what was to be removed is gone."""
    text = str(answer)
    return "equal or smaller" in text or "NOGROUP" in text
