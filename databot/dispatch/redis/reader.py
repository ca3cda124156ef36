"""Reads the streams of many turns, and the notices, in one waiting call.

Each listener has a bounded buffer; one that is full is left out of the call until it has taken something, and then goes
on where it was: what it has not read is kept in Redis, as far as anything is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from databot.dispatch.base import Notice, NumberedEvent
from databot.dispatch.events import Reader
from databot.dispatch.redis.errors import TROUBLE
from databot.dispatch.redis.keys import Entry, Keys, number_of, read_notice, streams_of
from databot.dispatch.redis.link import BLOCK_S, COMMAND_S, RedisLink

log = logging.getLogger(__name__)
PART = "reading"
ROOM = 500
EVENTS_AT_ONCE = 200
NOTICES_KEPT = 1_000
LINGER_S, MANY = 0.005, 32


class Listener:
    """One reader of one turn's stream: what has come and it has not taken, and up to which number."""

    __slots__ = ("_came", "_items", "_look_again", "key", "position")

    def __init__(self, key: str, after: int, look_again: Callable[[], None]) -> None:
        self.key = key
        self.position = after
        self._items: deque[NumberedEvent] = deque()
        self._came = asyncio.Event()
        self._look_again = look_again

    @property
    def has_room(self) -> bool:
        return len(self._items) < ROOM

    def add(self, item: NumberedEvent) -> None:
        if item.number > self.position:
            self.position = item.number
            self._items.append(item)
            self._came.set()

    def skip(self, number: int) -> None:
        """Count an event that nobody here can read as read."""
        self.position = max(self.position, number)

    async def next(self) -> NumberedEvent:
        while not self._items:
            self._came.clear()
            await self._came.wait()
        item = self._items.popleft()
        if len(self._items) == ROOM - 1:
            self._look_again()
        return item


class RedisReader:
    """The one task that reads, and those it reads for. `wake` makes Redis end the call that waits."""

    def __init__(self, link: RedisLink, keys: Keys, replica: str, wake: Callable[[], None]) -> None:
        self._link = link
        self._keys = keys
        self._replica = replica.encode()
        self._wake = wake
        self._wake_key = keys.wake(replica).encode()
        self._wake_position = b"0-0"
        self._notices_position: bytes | None = None
        self._listeners: dict[str, list[Listener]] = {}
        self._notified: list[asyncio.Queue[Notice]] = []
        self._wanted = asyncio.Event()
        self._waits = False
        self._events = Reader()

    @property
    def unreadable(self) -> int:
        """How many events of another version were skipped."""
        return self._events.skipped

    def join(self, key: str, after: int) -> Listener:
        """A listener to the stream at `key` above a number; `leave` ends it."""
        listener = Listener(key, after, self.look_again)
        self._listeners.setdefault(key, []).append(listener)
        self.look_again()
        return listener

    def leave(self, listener: Listener) -> None:
        others = self._listeners.get(listener.key, [])
        if listener in others:
            others.remove(listener)
        if not others:
            self._listeners.pop(listener.key, None)

    def subscribe(self) -> asyncio.Queue[Notice]:
        """A bounded queue that is given every notice from now on; `unsubscribe` ends it."""
        queue: asyncio.Queue[Notice] = asyncio.Queue(NOTICES_KEPT)
        self._notified.append(queue)
        self.look_again()
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Notice]) -> None:
        self._notified.remove(queue)
        if not self._notified:
            self._notices_position = None

    def notify(self, notice: Notice) -> None:
        """Give a notice to everybody here; who does not take them loses the oldest."""
        for queue in self._notified:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(notice)

    def look_again(self) -> None:
        """What is to be read has changed."""
        self._wanted.set()
        if self._waits:
            self._waits = False  # once is enough
            self._wake()

    async def run(self) -> None:
        """Read for ever what is wanted; nothing while nothing is."""
        while True:
            if not (self._listeners or self._notified):
                self._wanted.clear()
                await self._wanted.wait()
            try:
                await self._read()
                self._link.note_well(PART)
            except TROUBLE as error:
                self._link.note_trouble(PART, error)
                await self._link.pause(PART)
            except Exception:  # boundary: a loop of dispatch; one answer must not end all reading
                log.exception("events of other replicas could not be read")
                await self._link.pause(PART)
            finally:
                self._waits = False

    async def _read(self) -> None:
        if self._notified and self._notices_position is None:
            self._notices_position = await self._last_notice()
        positions = self._positions()
        self._waits = True
        answer = await self._link.run(
            "XREAD",
            "COUNT",
            EVENTS_AT_ONCE,
            "BLOCK",
            int(BLOCK_S * 1000),
            "STREAMS",
            *positions,
            *positions.values(),
            limit_s=BLOCK_S + COMMAND_S,
        )
        self._waits = False
        for key, entries in streams_of(answer).items():
            self._hand_out(key, entries)
        if len(positions) > MANY:
            await asyncio.sleep(LINGER_S)  # a call names all streams: let it find something in many

    def _positions(self) -> dict[bytes, bytes]:
        """From where to read what."""
        positions = {self._wake_key: self._wake_position}
        if self._notices_position is not None:
            positions[self._keys.notices.encode()] = self._notices_position
        for key, listeners in self._listeners.items():
            numbers = [listener.position for listener in listeners if listener.has_room]
            if numbers:
                positions[key.encode()] = b"%d-0" % min(numbers)
        return positions

    async def _last_notice(self) -> bytes:
        newest = await self._link.run("XREVRANGE", self._keys.notices, "+", "-", "COUNT", 1)
        return newest[0][0] if newest else b"0-0"

    def _hand_out(self, key: bytes, entries: Sequence[Entry]) -> None:
        if key == self._wake_key:
            self._wake_position = entries[-1][0]
        elif key == self._keys.notices.encode():
            for entry in entries:
                self._hand_notice(entry)
        else:
            for entry in entries:
                self._hand_event(self._listeners.get(key.decode(), []), entry)

    def _hand_notice(self, entry: Entry) -> None:
        self._notices_position, fields = entry
        if fields.get(b"from") == self._replica:
            return  # told here already
        try:
            self.notify(read_notice(fields))
        except (KeyError, ValueError):
            log.info("skipped a notice of another replica that this version cannot read")

    def _hand_event(self, listeners: Sequence[Listener], entry: Entry) -> None:
        number = number_of(entry[0])
        waiting = [listener for listener in listeners if listener.position < number]
        if not waiting:
            return
        event = self._events.read(entry[1].get(b"e", b""))
        for listener in waiting:
            if event is None:
                listener.skip(number)
            else:
                listener.add(NumberedEvent(number=number, event=event))
