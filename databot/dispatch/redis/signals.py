"""Signals over a consumer group: each is taken by one replica, and taken up by another when that one dies.

A signal is removed once it was handed on. What a replica has read and not handed on is claimed by others after a while,
and said anew when the replica stops taking.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from databot.dispatch.redis.errors import TROUBLE
from databot.dispatch.redis.keys import Entry, entries_of, read_signal, signal_fields, streams_of
from databot.dispatch.redis.link import BLOCK_S, COMMAND_S, Command, RedisLink
from databot.types.clock import Clock
from databot.types.messages import ConversationKey

log = logging.getLogger(__name__)
PART = "taking signals"
GROUP = "replicas"
AT_ONCE = 16
SIGNALS_KEPT = 100_000
LOOK_EACH_S = 5.0
CLAIM_AFTER_S = 10.0
CLAIMED_AT_ONCE = 100
DEAD_AFTER_S = 60.0
GONE = ("NOGROUP", "UNBLOCKED", "no such key")
"""What Redis says of a group that is not there (any more): asked, waiting, and looked at."""
Taken = tuple[ConversationKey, bytes]
"""A signal and the id of its entry."""


class RedisSignals:
    """Takes signals as one consumer of the group, and this replica's own while Redis is away.

    `send` sends a command in passing: what becomes of it is not waited for.
    """

    def __init__(
        self, link: RedisLink, key: str, replica: str, clock: Clock, send: Callable[[Command], None]
    ) -> None:
        self._link = link
        self._key = key
        self._replica = replica
        self._clock = clock
        self._send = send
        self._taken: deque[Taken] = deque()
        self._mine: set[bytes] = set()
        self._own: dict[ConversationKey, None] = {}
        self._takers = 0
        self._came, self._wanted = asyncio.Event(), asyncio.Event()
        self._next_look = clock.monotonic() + LOOK_EACH_S

    def hand_over(self, conversation: ConversationKey) -> None:
        """Give a signal to this replica itself; one that takes none, or has too many, does without."""
        if self._takers and len(self._own) < SIGNALS_KEPT:
            self._own[conversation] = None
            self._came.set()

    async def take(self) -> AsyncIterator[ConversationKey]:
        """Signals for this replica, until the taker leaves."""
        self._takers += 1
        self._wanted.set()
        handed: list[Taken] = []
        try:
            while True:
                await self._something()
                if self._own:
                    oldest = next(iter(self._own))
                    del self._own[oldest]
                    yield oldest
                    continue
                handed = [self._taken.popleft()]
                self._wanted.set()
                yield handed[0][0]
                self._remove(handed.pop()[1])
        finally:
            self._takers -= 1
            self._say_anew(handed)
            if not self._takers:
                self._own.clear()
                self._say_anew(self._taken)
                self._taken.clear()

    async def run(self) -> None:
        """Read signals for ever, while somebody takes them."""
        while True:
            while not self._takers or len(self._taken) >= AT_ONCE:
                self._wanted.clear()
                await self._wanted.wait()
            try:
                await self._read()
                self._link.note_well(PART)
            except TROUBLE as error:
                self._link.note_trouble(PART, error)
                await self._link.pause(PART)
            except Exception:  # boundary: a loop of dispatch; one answer must not end all reading
                log.exception("signals could not be read")
                await self._link.pause(PART)

    async def _something(self) -> None:
        while not (self._own or self._taken):
            self._came.clear()
            await self._came.wait()

    async def _read(self) -> None:
        if self._clock.monotonic() >= self._next_look:
            self._next_look = self._clock.monotonic() + LOOK_EACH_S
            await self._look_after_the_dead()
        answer = await self._ask(
            *("XREADGROUP", "GROUP", GROUP, self._replica, "COUNT", AT_ONCE),
            *("BLOCK", int(BLOCK_S * 1000), "STREAMS", self._key, ">"),
        )
        for entries in streams_of(answer).values():
            self._add(entries)

    async def _look_after_the_dead(self) -> None:
        """Claim what others have read and not handed on, and remove consumers that are gone."""
        idle = int(CLAIM_AFTER_S * 1000)
        answer = await self._ask(
            *("XAUTOCLAIM", self._key, GROUP, self._replica, idle, "0-0", "COUNT", CLAIMED_AT_ONCE)
        )
        self._add(entries_of(answer[1]))
        for consumer in await self._ask("XINFO", "CONSUMERS", self._key, GROUP):
            told = dict(zip(consumer[::2], consumer[1::2], strict=True))
            if told[b"idle"] > DEAD_AFTER_S * 1000 and not told[b"pending"]:
                self._send(("XGROUP", "DELCONSUMER", self._key, GROUP, told[b"name"]))

    async def _ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - any answer
        """A command to the group, which is made anew when it is gone: Redis may be emptied at any time."""
        limit = BLOCK_S + COMMAND_S
        try:
            return await self._link.run(*command, limit_s=limit)
        except ResponseError as error:
            if not any(word in str(error) for word in GONE):
                raise
        try:
            await self._link.run("XGROUP", "CREATE", self._key, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # another replica was quicker
                raise
        return await self._link.run(*command, limit_s=limit)

    def _add(self, entries: Sequence[Entry]) -> None:
        for entry_id, fields in entries:
            if entry_id in self._mine:
                continue
            try:
                conversation = read_signal(fields)
            except (KeyError, ValueError):
                log.info("dropped a signal that this version of databot cannot read")
                self._remove(entry_id)
                continue
            self._mine.add(entry_id)
            self._taken.append((conversation, entry_id))
        if not self._takers:
            self._say_anew(self._taken)
            self._taken.clear()
        self._came.set()

    def _remove(self, entry_id: bytes) -> None:
        self._mine.discard(entry_id)
        self._send(("XACK", self._key, GROUP, entry_id))
        self._send(("XDEL", self._key, entry_id))

    def _say_anew(self, taken: Sequence[Taken] | deque[Taken]) -> None:
        for conversation, entry_id in taken:
            self._send(add_signal(self._key, conversation))
            self._remove(entry_id)


def add_signal(key: str, conversation: ConversationKey) -> Command:
    return ("XADD", key, "MAXLEN", "~", SIGNALS_KEPT, "*", *signal_fields(conversation))
