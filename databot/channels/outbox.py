"""The worker that empties the outbox: for each channel a lane of its own, so that none waits for another.

A lane claims replies, sends a few at once, and writes down what became of each. Order within a conversation is the
claim's doing. A lane looks when it is told of a reply, when a sending ends, and every two seconds, which finds what
another worker left behind. It decides nothing by itself: see `deliveries`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from traceback import format_tb

from databot.channels.base import BaseChannel, Delivery, Outbox
from databot.channels.deliveries import deliver, failure
from databot.types.backoff import Chance, some_chance
from databot.types.clock import Clock
from databot.types.errors import StorageError, StorageUnavailable, describe
from databot.types.tasks import was_asked_to_stop

log = logging.getLogger(__name__)
SENDS_AT_ONCE = 8
SEND_TIMEOUT_S = 30.0
SWEEP_S = 2.0
RECORD_PAUSE_S = 1.0
FLUSH_S = 3.0
DRAIN_S = 5.0
"""How long a stopping worker goes on claiming what is due, and sending, all in all."""
LAST_WORD_S = 1.0
CUT_OFF = "databot stopped while it was being sent"


class OutboxWorker:
    """Delivers what waits for these channels until cancelled; `worker` names it in the claims."""

    def __init__(
        self,
        channels: Mapping[str, BaseChannel],
        outbox: Outbox,
        clock: Clock,
        *,
        worker: str,
        chance: Chance = some_chance,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._lanes = {
            name: Lane(name, channel, outbox, clock, worker=worker, chance=chance)
            for name, channel in channels.items()
        }

    def wake(self, channel: str) -> None:
        """There may be something for this channel."""
        if channel in self._lanes:
            self._lanes[channel].news.set()

    async def run(self) -> None:
        """Deliver; when cancelled, go on for a few seconds with what is due, then leave the rest to others."""
        async with asyncio.TaskGroup() as group:
            lanes = [
                group.create_task(lane.run(), name=f"outbox {name}")
                for name, lane in self._lanes.items()
            ]
            group.create_task(self._sweep(), name="outbox sweep")
            group.create_task(self._renew(), name="outbox leases")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await self._drain(lanes)
                raise

    async def _drain(self, lanes: Sequence["asyncio.Task[None]"]) -> None:
        if not lanes:
            return
        for lane in self._lanes.values():
            lane.flush()
        await asyncio.wait(lanes, timeout=FLUSH_S)
        for lane in self._lanes.values():
            lane.close()
        await asyncio.wait(lanes, timeout=DRAIN_S - FLUSH_S)

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            for lane in self._lanes.values():
                lane.news.set()

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._outbox.lease_s / 3)
            try:
                await self._outbox.renew(
                    [item for lane in self._lanes.values() for item in lane.under_way()]
                )
            except Exception as error:  # boundary: outbox
                tell("leases of replies being sent were not renewed", error)


class Lane:
    """One channel's replies."""

    def __init__(
        self,
        name: str,
        channel: BaseChannel,
        outbox: Outbox,
        clock: Clock,
        *,
        worker: str,
        chance: Chance,
    ) -> None:
        self.news = asyncio.Event()
        self._name, self._channel = name, channel
        self._outbox, self._clock = outbox, clock
        self._worker, self._chance = worker, chance
        self._under_way: dict[str, Delivery] = {}
        self._flushing = self._closed = False

    def under_way(self) -> list[Delivery]:
        """What is being sent."""
        return list(self._under_way.values())

    def flush(self) -> None:
        """End when nothing is due any more."""
        self._flushing = True
        self.news.set()

    def close(self) -> None:
        """Claim nothing more, and end with what is being sent."""
        self._closed = True
        self.news.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as sends:
            while True:
                self.news.clear()
                for delivery in await self._claim():
                    self._under_way[delivery.id] = delivery
                    sends.create_task(self._deliver(delivery), name=f"send {delivery.id}")
                if (self._flushing or self._closed) and not self._under_way:
                    return
                await self.news.wait()

    async def _claim(self) -> Sequence[Delivery]:
        free = SENDS_AT_ONCE - len(self._under_way)
        if self._closed or not free:
            return ()
        try:
            claimed = await self._outbox.claim(self._name, self._worker, free)
        except Exception as error:  # boundary: outbox
            tell(f"channel {self._name}: no replies could be claimed", error)
            return ()
        # After a long standstill our own lease may be over, and the sending still under way: leave it to that.
        return [item for item in claimed if item.id not in self._under_way]

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._try(delivery)
        except asyncio.CancelledError:
            if was_asked_to_stop():
                await self._let_go(delivery)
            raise
        except Exception as error:  # boundary: outbox
            # Its lease will end, and it is then tried again like one whose worker died.
            tell(f"channel {self._name}: what became of reply {delivery.id} is lost", error)
        finally:
            del self._under_way[delivery.id]
            self.news.set()

    async def _try(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                platform_id = await deliver(self._channel, delivery)
        except asyncio.CancelledError as error:
            if was_asked_to_stop():
                raise
            await self._failed(delivery, error)
        except Exception as error:  # boundary: channel delivery
            await self._failed(delivery, error)
        else:
            await self._record(lambda: self._outbox.sent(delivery, platform_id))

    async def _failed(self, delivery: Delivery, error: BaseException) -> None:
        what = failure(delivery, error, self._channel.capabilities(), self._chance())
        told = (self._name, delivery.id, delivery.attempts, what.error)
        if what.pause_s is None:
            log.error("channel %s: reply %s is given up after %d tries: %s", *told)
        else:
            log.warning("channel %s: reply %s was not sent at try %d: %s", *told)
        # Where it failed, without what it says: a vendor's text may hold tokens.
        log.debug("channel %s:\n%s", self._name, "".join(format_tb(error.__traceback__)))
        retry_at = what.retry_at(self._clock.now())
        await self._record(
            lambda: self._outbox.failed(
                delivery, what.error, retry_at=retry_at, unknown=what.unknown
            )
        )

    async def _record(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write down what became of a try, however long the store is away: only then is it over."""
        while True:
            try:
                return await write()
            except StorageUnavailable as error:
                tell(f"channel {self._name}: a result waits", error)
            await self._clock.sleep(RECORD_PAUSE_S)

    async def _let_go(self, delivery: Delivery) -> None:
        """Cut off at the end: nobody knows whether it was sent, and another worker need not wait for the lease."""
        with suppress(StorageError, TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await self._outbox.failed(
                    delivery, CUT_OFF, retry_at=self._clock.now(), unknown=True
                )


def tell(what: str, error: Exception) -> None:
    """One line of trouble with the store, which passes; all there is of a mistake of our own."""
    if isinstance(error, StorageError):
        log.warning("%s: %s", what, describe(error))
    else:
        log.exception("%s", what)
