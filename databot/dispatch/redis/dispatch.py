"""Dispatch over Redis: streams for signals, notices and the events of turns.

Redis is no place of truth here: it may be emptied, slow or gone at any time. Then signals stay in the replica that said
them, readers are told the end of a turn from the store, and everything goes on when it is back.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext

from databot.dispatch.background import running
from databot.dispatch.base import Notice, NumberedEvent, TurnKey
from databot.dispatch.events import encode_event
from databot.dispatch.outgoing import Outgoing, Parcel, Rank
from databot.dispatch.redis.address import RedisAddress, redis_address
from databot.dispatch.redis.keys import Keys, notice_fields
from databot.dispatch.redis.link import Command, RedisLink
from databot.dispatch.redis.reader import RedisReader
from databot.dispatch.redis.sender import KEEP_S, PART, RedisSender
from databot.dispatch.redis.signals import RedisSignals, add_signal
from databot.types.clock import Clock, Ids
from databot.types.events import (
    TERMINAL,
    MessageCompleted,
    StreamEvent,
    TextDelta,
    TurnFailed,
    TurnFinished,
    TurnRestarted,
)
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
EVENTS_KEPT = 2_000
NOTICES_KEPT = 1_000
FLUSH_S = 2.0
VITAL = (MessageCompleted, TurnFinished, TurnFailed, TurnRestarted)


class RedisDispatch:
    """Implements `Dispatch`. Made by `open_redis`, which runs its loops.

    `lost` counts events that never reached Redis, `outages` the times it was away.
    """

    shared = True

    def __init__(self, link: RedisLink, namespace: str, replica: str, clock: Clock) -> None:
        self._link = link
        self._keys = Keys(namespace)
        self._replica = replica
        self._outgoing = Outgoing()
        self._lost = 0
        self._wake = ("XADD", self._keys.wake(replica), "MAXLEN", 1, "*", "w", "")
        self._signals = RedisSignals(link, self._keys.signals, replica, clock, self._send)
        self._reader = RedisReader(link, self._keys, replica, self._wake_up)
        self._sender = RedisSender(link, self._outgoing, clock, self._wake, self._signals.hand_over)

    @property
    def lost(self) -> int:
        """Events other replicas will never be told."""
        return self._lost + self._outgoing.lost

    @property
    def outages(self) -> int:
        return self._link.outages

    async def signal(self, conversation: ConversationKey) -> None:
        if not self._link.is_well(PART):
            self._signals.hand_over(conversation)
            return
        command = add_signal(self._keys.signals, conversation)
        self._outgoing.put(Parcel(command=tuple(command), rank=Rank.VITAL, signal=conversation))

    def signals(self) -> AsyncIterator[ConversationKey]:
        return self._signals.take()

    async def announce(self, notice: Notice) -> None:
        self._reader.notify(notice)
        fields = notice_fields(notice, self._replica)
        self._send(("XADD", self._keys.notices, "MAXLEN", "~", NOTICES_KEPT, "*", *fields))

    async def notices(self) -> AsyncIterator[Notice]:
        queue = self._reader.subscribe()
        try:
            while True:
                yield await queue.get()
        finally:
            self._reader.unsubscribe(queue)

    def tell(self, turn: TurnKey, item: NumberedEvent) -> None:
        try:
            data = encode_event(item.event)
        except (ValueError, TypeError, RecursionError) as error:
            self._lost += 1
            log.warning("an event cannot be told to other replicas (%s)", type(error).__name__)
            return
        key = self._keys.turn(turn)
        self._outgoing.put(
            Parcel(
                command=("XADD", key, "MAXLEN", "~", EVENTS_KEPT, f"{item.number}-0", "e", data),
                rank=rank_of(item.event),
                size=len(data) + len(key),
                stream=key,
                ends=isinstance(item.event, TERMINAL),
            )
        )

    async def listen(self, turn: TurnKey, *, after: int = 0) -> AsyncIterator[NumberedEvent]:
        listener = self._reader.join(self._keys.turn(turn), after)
        try:
            while True:
                item = await listener.next()
                yield item
                if isinstance(item.event, TERMINAL):
                    return
        finally:
            self._reader.leave(listener)

    async def check(self) -> str:
        return await self._link.check()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """The loops; at the end what waits is sent, if Redis takes it at once."""
        async with running(self._sender.run(), self._reader.run(), self._signals.run()):
            try:
                yield
            finally:
                if self._link.is_well(PART):
                    await self._sender.flush(FLUSH_S)

    def _send(self, command: Command) -> None:
        self._outgoing.put(Parcel(command=tuple(command), rank=Rank.VITAL))

    def _wake_up(self) -> None:
        self._send(self._wake)
        self._send(("EXPIRE", self._wake[1], KEEP_S))


@asynccontextmanager
async def open_redis(url: str, clock: Clock, ids: Ids) -> AsyncGenerator[RedisDispatch]:
    """Dispatch over the Redis at `url`, which need not be there yet: see `RedisDispatch.check`.

    Raises:
        ConfigError: the URL is none of ours, or a certificate file it names cannot be used.
    """
    address = redis_address(url)
    replica = ids.new("replica")
    link = RedisLink(address, await context_of(address), clock)
    dispatch = RedisDispatch(link, address.namespace, replica, clock)
    try:
        async with dispatch.running():
            yield dispatch
    finally:
        await link.aclose()


async def probe_redis(url: str, clock: Clock) -> str:
    """`RedisDispatch.check` for somebody who is no replica. Raises `ConfigError`, `DispatchUnavailable`."""
    address = redis_address(url)
    link = RedisLink(address, await context_of(address), clock)
    try:
        return await link.check()
    finally:
        await link.aclose()


async def context_of(address: RedisAddress) -> SSLContext | None:
    return await asyncio.to_thread(address.tls.context) if address.tls else None


def rank_of(event: StreamEvent) -> Rank:
    if isinstance(event, TextDelta):
        return Rank.TEXT
    return Rank.VITAL if isinstance(event, VITAL) else Rank.EVENT
