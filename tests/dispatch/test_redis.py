"""Redis away, slow, wiped, full or wrongly addressed: nothing raises, and all goes on when it is back."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import cast

import pytest

from databot.dispatch.base import JobsDue, Notice, NumberedEvent, Stop, TurnKey
from databot.dispatch.redis import link as redis_link
from databot.dispatch.redis import signals as redis_signals
from databot.dispatch.redis.dispatch import RedisDispatch, open_redis
from databot.testing.clock import FakeClock
from databot.types.clock import Clock, RandomIds, SystemClock
from databot.types.errors import ConfigError, DispatchUnavailable
from databot.types.events import TextDelta, TurnFailed
from databot.types.messages import ConversationKey
from tests.dispatch.servers import PASSWORD, RedisServer

LIMIT_S = 30.0
TURN = TurnKey(tenant_id="acme", turn_id="turn_1")
SIGNALS = "databot:{0}:signals"


@pytest.fixture
def server(tmp_path: Path) -> Generator[RedisServer]:
    """A Redis of the test's own, running."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def opened(
    server: RedisServer, clock: Clock | None = None
) -> AbstractAsyncContextManager[RedisDispatch]:
    return open_redis(server.url, clock or SystemClock(), RandomIds())


def conversation(name: str) -> ConversationKey:
    return ConversationKey(tenant_id="acme", bot_id="b", session_id=name)


def text(number: int, words: str = "words") -> NumberedEvent:
    return NumberedEvent(number=number, event=TextDelta(turn_id=TURN.turn_id, text=words))


def end(number: int) -> NumberedEvent:
    failed = TurnFailed(turn_id=TURN.turn_id, session_id="s", error="busy", reason="try again")
    return NumberedEvent(number=number, event=failed)


async def first(stream: AsyncIterator[NumberedEvent]) -> NumberedEvent:
    async with aclosing(cast("AsyncGenerator[NumberedEvent]", stream)) as items:
        async for item in items:
            return item
    raise AssertionError("the stream ended")


async def numbers(stream: AsyncIterator[NumberedEvent]) -> list[int]:
    return [item.number async for item in stream]


class Taken:
    """What a replica takes and hears, and a way to wait for it."""

    def __init__(self, dispatch: RedisDispatch, group: asyncio.TaskGroup) -> None:
        self.signals: list[str] = []
        self.notices: list[Notice] = []
        self._changed = asyncio.Condition()
        self._tasks = [
            group.create_task(self._take(dispatch.signals())),
            group.create_task(self._hear(dispatch.notices())),
        ]

    async def until_signalled(self, *names: str) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: set(names) <= set(self.signals))

    async def until_noticed(self, notice: Notice) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: notice in self.notices)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _take(self, signals: AsyncIterator[ConversationKey]) -> None:
        async for key in signals:
            self.signals.append(key.session_id)
            await self._tell()

    async def _hear(self, notices: AsyncIterator[Notice]) -> None:
        async for notice in notices:
            self.notices.append(notice)
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def until_over_redis(here: RedisDispatch, there: Taken, mark: str) -> None:
    """Announce until the other replica hears it: then both are reading."""
    notice = Stop(turn=TurnKey(tenant_id="acme", turn_id=mark))
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(there.until_noticed(notice))
        while not heard.done():
            await here.announce(notice)
            await asyncio.sleep(0.05)


def outage_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "Redis at" in r.getMessage()]


async def test_a_redis_that_comes_late_is_waited_for_and_told_what_it_missed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path)
    async with (
        asyncio.timeout(LIMIT_S),
        opened(server) as runs,
        opened(server) as reads,
        asyncio.TaskGroup() as group,
    ):
        here = Taken(runs, group)
        listening = group.create_task(numbers(reads.listen(TURN)))
        await asyncio.sleep(0)
        await runs.signal(conversation("early"))
        await runs.announce(JobsDue())
        runs.tell(TURN, text(1))
        await here.until_signalled("early")
        await here.until_noticed(JobsDue())
        with pytest.raises(DispatchUnavailable, match="cannot be reached") as refused:
            await runs.check()
        assert "p@ss" not in f"{refused.value} {refused.value.hint} {refused.value.__cause__!r}"
        server.start()
        runs.tell(TURN, end(2))
        assert await listening == [1, 2]
        while sum("is back" in line for line in outage_lines(caplog)) < 2:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.02)
        assert (runs.outages, reads.outages) == (1, 1)
        here.stop()
    server.kill()
    assert sum("cannot be reached" in line for line in outage_lines(caplog)) == 2  # one a replica


async def test_a_redis_that_crashes_and_comes_back_empty_ends_nothing(server: RedisServer) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one, opened(server) as two:
        async with asyncio.TaskGroup() as group:
            here, there = Taken(one, group), Taken(two, group)
            listening = group.create_task(numbers(two.listen(TURN)))
            await until_over_redis(one, there, "before")
            one.tell(TURN, text(1))
            assert (await first(two.listen(TURN))).number == 1
            server.kill()
            for number in range(2, 50):
                one.tell(TURN, text(number))
            await one.signal(conversation("meanwhile"))
            await here.until_signalled("meanwhile")
            server.start()
            one.tell(TURN, end(50))
            assert await listening == list(range(1, 51))
            await until_over_redis(one, there, "after")
            await until_over_redis(two, here, "back")
            for replica in (one, two):
                await replica.signal(conversation(f"after {replica is one}"))
            group.create_task(both_taken(here, there)).add_done_callback(
                lambda _: (here.stop(), there.stop())
            )
        assert one.lost == two.lost == 0


async def both_taken(here: Taken, there: Taken) -> None:
    while not {"after True", "after False"} <= {*here.signals, *there.signals}:  # noqa: ASYNC110 - two lists, no event
        await asyncio.sleep(0.02)


async def test_a_wiped_redis_goes_on_where_it_was(server: RedisServer) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one, asyncio.TaskGroup() as group:
        here = Taken(one, group)
        listening = group.create_task(numbers(one.listen(TURN)))
        await one.signal(conversation("before"))
        await here.until_signalled("before")
        one.tell(TURN, text(1))
        assert (await first(one.listen(TURN))).number == 1
        await asyncio.to_thread(server.ask, "FLUSHALL")
        await one.signal(conversation("after"))
        await here.until_signalled("after")
        one.tell(TURN, text(2))
        one.tell(TURN, end(3))
        assert await listening == [1, 2, 3]
        assert one.outages == 0
        here.stop()


async def test_a_redis_that_stands_still_for_a_moment_loses_nothing(server: RedisServer) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one, opened(server) as two:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(numbers(two.listen(TURN)))
            one.tell(TURN, text(1))
            assert (await first(two.listen(TURN))).number == 1
            server.freeze()
            for number in range(2, 20):
                one.tell(TURN, text(number))
            await one.signal(conversation("x"))
            await asyncio.sleep(2)  # the fault: it is slow for two seconds
            server.thaw()
            one.tell(TURN, end(20))
        assert listening.result() == list(range(1, 21))
        assert one.outages == two.outages == 0


async def test_signals_of_a_replica_whose_redis_hangs_are_taken_by_itself(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "COMMAND_S", 0.5)
    async with asyncio.timeout(LIMIT_S), opened(server) as one, asyncio.TaskGroup() as group:
        here = Taken(one, group)
        await one.signal(conversation("before"))
        await here.until_signalled("before")
        server.freeze()
        await one.signal(conversation("hanging"))
        await here.until_signalled("hanging")
        with pytest.raises(DispatchUnavailable, match="does not answer in time"):
            await one.check()
        server.thaw()
        here.stop()


async def test_a_full_redis_is_said_once_and_costs_only_events(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one, asyncio.TaskGroup() as group:
        here = Taken(one, group)
        await one.signal(conversation("before"))
        await here.until_signalled("before")
        server.ask("CONFIG", "SET", "maxmemory", 1)
        one.tell(TURN, text(1))
        await one.signal(conversation("full"))
        await here.until_signalled("full")
        assert one.lost == 1
        server.ask("CONFIG", "SET", "maxmemory", 0)
        one.tell(TURN, end(2))
        assert await numbers(one.listen(TURN)) == [2]
        here.stop()
    lines = outage_lines(caplog)
    assert [("is out of memory" in line, "is back" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]


async def test_a_refused_login_is_told_without_the_password(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"redis://somebody:s3cret-one@127.0.0.1:{server.port}"
    async with asyncio.timeout(LIMIT_S), open_redis(url, FakeClock(), RandomIds()) as dispatch:
        with pytest.raises(DispatchUnavailable, match="refuses the login") as refused:
            await dispatch.check()
        dispatch.tell(TURN, text(1))
        while not dispatch.outages:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.02)
        assert "s3cret" not in repr(dispatch)
    assert refused.value.hint == "look at the user and the password in dispatch.url"
    assert "s3cret" not in f"{refused.value!r} {refused.value.__cause__!r} {caplog.text}"


async def test_signals_of_a_replica_that_died_are_taken_by_another(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_signals, "DEAD_AFTER_S", 0.0)
    fields = ("t", "acme", "b", "b", "s", "left behind")
    server.ask("XGROUP", "CREATE", SIGNALS, "replicas", 0, "MKSTREAM")
    entry = server.ask("XADD", SIGNALS, "*", *fields).decode()
    server.ask("XREADGROUP", "GROUP", "replicas", "dead", "STREAMS", SIGNALS, ">")
    server.ask("XCLAIM", SIGNALS, "replicas", "dead", 0, entry, "IDLE", 60_000)
    clock = FakeClock(hurried=True)
    async with asyncio.timeout(LIMIT_S), opened(server, clock) as one, asyncio.TaskGroup() as group:
        here = Taken(one, group)
        clock.advance(10)
        await here.until_signalled("left behind")
        while b"dead" in consumers(server):
            clock.advance(10)
            await one.signal(conversation("again"))  # ends the wait
            await asyncio.sleep(0.02)
        here.stop()
    assert server.ask("XLEN", SIGNALS) == 0


def consumers(server: RedisServer) -> set[bytes]:
    return {consumer[b"name"] for consumer in server.ask("XINFO", "CONSUMERS", SIGNALS, "replicas")}


async def test_what_another_version_wrote_is_skipped(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    key = "databot:{0}:turn:acme:turn_1"
    for number, data in enumerate(["{}", "null", '{"$":"TurnDreamt","v":{}}', "\x00", "[1,2]"]):
        server.ask("XADD", key, f"{number + 1}-0", "e", data)
    server.ask("XADD", key, "6-0", "other", "field")
    server.ask("XADD", SIGNALS, "*", "other", "field")
    async with asyncio.timeout(LIMIT_S), opened(server) as one, asyncio.TaskGroup() as group:
        here = Taken(one, group)
        await asyncio.sleep(0)  # now it takes and hears
        await one.announce(JobsDue())
        await here.until_noticed(JobsDue())
        server.ask("XADD", "databot:{0}:notices", "*", "kind", "party")
        one.tell(TURN, end(7))
        assert await numbers(one.listen(TURN)) == [7]
        await one.signal(conversation("good"))
        await here.until_signalled("good")
        here.stop()
    assert (
        sum("cannot read" in r.getMessage() and "event" in r.getMessage() for r in caplog.records)
        == 1
    )


async def test_a_flood_drops_pieces_of_text_and_never_the_end(server: RedisServer) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one, opened(server) as two:
        for number in range(1, 30_001):
            one.tell(TURN, text(number))
        one.tell(TURN, end(30_001))
        heard = await numbers(two.listen(TURN))
        assert heard[-1] == 30_001
        assert heard == sorted(set(heard))
        assert one.lost >= 10_000


async def test_a_reader_that_takes_its_time_misses_nothing_that_is_kept(
    server: RedisServer,
) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one, opened(server) as two:
        heard: list[int] = []
        for number in range(1, 1_801):
            one.tell(TURN, text(number))
        one.tell(TURN, end(1_801))
        async for item in two.listen(TURN):
            heard.append(item.number)
            if len(heard) == 1:
                await numbers(two.listen(TURN))  # a quick one goes past
        assert heard == list(range(1, 1_802))


async def test_what_is_in_redis_ends_by_itself_and_is_bounded(server: RedisServer) -> None:
    async with asyncio.timeout(LIMIT_S), opened(server) as one:
        for number in range(1, 5_001):
            one.tell(TURN, text(number))
        one.tell(TURN, end(5_001))
        await numbers(one.listen(TURN, after=5_000))
        await first(one.listen(TURN, after=5_000))
    keys = [key.decode() for key in server.ask("KEYS", "*")]
    assert "databot:{0}:turn:acme:turn_1" in keys
    assert [key for key in keys if server.ask("TTL", key) < 0] == []
    assert 2_000 <= server.ask("XLEN", "databot:{0}:turn:acme:turn_1") < 2_200


async def test_two_namespaces_of_one_database_do_not_hear_each_other(server: RedisServer) -> None:
    other = f"{server.url}?namespace=other"
    async with (
        asyncio.timeout(LIMIT_S),
        opened(server) as one,
        open_redis(other, SystemClock(), RandomIds()) as two,
    ):
        one.tell(TURN, text(1))
        one.tell(TURN, end(2))
        two.tell(TURN, end(3))
        assert await numbers(two.listen(TURN)) == [3]
        assert await numbers(one.listen(TURN)) == [1, 2]


@pytest.fixture
def certificates() -> Path:
    folder = os.environ.get("DATABOT_TEST_TLS")
    if not folder:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("no certificates: DATABOT_TEST_TLS is not set (see .ci/servers.sh)")
    return Path(str(folder))


@pytest.fixture
def tls_server(tmp_path: Path, certificates: Path) -> Generator[RedisServer]:
    """A Redis that speaks TLS only, on its port."""
    server = RedisServer(tmp_path)
    server.encrypt(certificates)
    server.start()
    yield server
    server.kill()


async def test_rediss_encrypts_and_verifies_the_server(
    tls_server: RedisServer, certificates: Path
) -> None:
    place = f"localhost:{tls_server.port}/0?sslrootcert={certificates}/ca.crt"
    login = tls_server.url.partition("://")[2].partition("@")[0]
    url = f"rediss://{login}@{place}"
    async with asyncio.timeout(LIMIT_S), open_redis(url, SystemClock(), RandomIds()) as one:
        assert "localhost" in await one.check()
        one.tell(TURN, end(1))
        assert await numbers(one.listen(TURN)) == [1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("", "not trusted here"),
        ("?sslrootcert={tls}/stranger.crt", "not trusted here"),
    ],
)
async def test_a_server_that_cannot_be_verified_is_not_talked_to(
    tls_server: RedisServer, certificates: Path, options: str, told: str
) -> None:
    url = f"rediss://:{'x'}@localhost:{tls_server.port}/0" + options.format(tls=certificates)
    async with asyncio.timeout(LIMIT_S), open_redis(url, SystemClock(), RandomIds()) as one:
        with pytest.raises(DispatchUnavailable, match=told):
            await one.check()


async def test_a_missing_certificate_file_is_said_at_the_start() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        async with open_redis(
            "rediss://localhost?sslrootcert=/nowhere.crt", SystemClock(), RandomIds()
        ):
            pass


def test_the_password_of_these_tests_is_odd() -> None:
    assert set("@/:?#%") <= set(PASSWORD)


async def test_a_user_with_the_rights_the_error_names_can_do_all_of_it(server: RedisServer) -> None:
    rights = ("~databot:*", "+@stream", "+@connection", "+expire", "+info")
    server.ask("ACL", "SETUSER", "narrow", "on", ">narrow", "+ping", "~databot:*")
    url = f"redis://narrow:narrow@127.0.0.1:{server.port}"
    async with asyncio.timeout(LIMIT_S), open_redis(url, SystemClock(), RandomIds()) as one:
        with pytest.raises(DispatchUnavailable, match="does not let this user") as refused:
            await one.check()
        assert all(right.strip("~") in refused.value.hint for right in rights)
        server.ask("ACL", "SETUSER", "narrow", *rights)
        assert "Redis" in await one.check()
        async with asyncio.TaskGroup() as group:
            here = Taken(one, group)
            await asyncio.sleep(0)
            await one.announce(JobsDue())
            await one.signal(conversation("x"))
            await here.until_signalled("x")
            one.tell(TURN, end(1))
            assert await numbers(one.listen(TURN)) == [1]
            here.stop()
        assert one.outages == 0
