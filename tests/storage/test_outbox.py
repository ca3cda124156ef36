"""The outbox in a database: one transaction with the turn's end, many workers, crashes in the middle of a sending."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from databot.storage.database import Database
from databot.storage.open import open_database
from databot.storage.outbox import ENQUEUE, LONGEST_WAIT, SqlOutbox, enqueue_params
from databot.storage.statements import param, same
from databot.storage.tables import inbox
from databot.storage.tables import outbox as table
from databot.testing.clock import FakeClock
from databot.types.clock import SystemClock
from databot.types.messages import OutboundMessage
from tests.channels.post import Post, delivering, reply
from tests.storage.outboxes import WORKER, OutboxKit, enqueuer, outbox_in
from tests.storage.parts import Place, message
from tests.storage.places import DATABASES
from tests.storage.platform import Platform, platform_of

ROOT = Path(__file__).parents[2]
WITHIN_S = 30
END = update(inbox).where(same(inbox.c.turn_id)).values(ended_at=param(inbox.c.ended_at))
SPOIL = update(table).values(body=param(table.c.body))
PUT_OFF = update(table).values(next_at=param(table.c.next_at))
LEASE = update(table).values(lease_until=param(table.c.lease_until))


@pytest.fixture(params=DATABASES)
async def kit(request: pytest.FixtureRequest) -> AsyncIterator[OutboxKit]:
    async with outbox_in(request.param, request) as opened:
        yield opened


def database_of(kit: OutboxKit) -> Database:
    assert kit.database is not None
    return kit.database


async def test_a_turn_has_its_reply_delivered_only_until_it_ends_and_by_its_own_worker(
    kit: OutboxKit,
) -> None:
    database = database_of(kit)
    await kit.reply("t1")
    enqueue, end = database.prepare(ENQUEUE), database.prepare(END)
    second = enqueue_params(reply("t1"), fence=0, now=2, part=1)
    for _ in range(2):  # as a unit whose connection was lost is run twice
        await database.write([(enqueue, second), (end, {"turn_id": "t1", "ended_at": 2})])
    await kit.reply("t2")
    for late in (
        enqueue_params(reply("t1"), fence=0, now=3, part=2),
        enqueue_params(reply("t2"), fence=7, now=3, part=2),
        enqueue_params(reply("nobody"), fence=0, now=3),
    ):
        await database.write([(enqueue, late)])
    assert [row[0] for row in await kit.rows()] == ["t1:000000", "t1:000001", "t2:000000"]


async def test_a_conversation_that_is_deleted_is_answered_no_more(kit: OutboxKit) -> None:
    assert kit.store is not None
    await kit.reply("t1")
    await kit.reply("t2", chat_id="other")
    (first, second) = sorted(await kit.outbox.claim("post", WORKER, 10), key=lambda item: item.id)
    await kit.store.sessions.delete(message(channel="post").conversation)
    await kit.outbox.sent(first)
    await kit.outbox.failed(first, "gone", retry_at=None)
    await kit.outbox.sent(second)
    assert [row[:2] for row in await kit.rows()] == [("t2:000000", "sent")]


@pytest.mark.parametrize("body", ["not JSON", "[]", '{"from": "a newer databot"}'])
async def test_a_reply_that_cannot_be_read_is_given_up_and_harms_no_other(
    kit: OutboxKit, body: str
) -> None:
    database = database_of(kit)
    await kit.reply("t1")
    await database.write([(database.prepare(SPOIL), {"body": body})])
    await kit.reply("t2")
    await kit.reply("t3", chat_id="other")
    assert [item.id for item in await kit.outbox.claim("post", WORKER, 10)] == ["t3:000000"]
    assert [item.id for item in await kit.outbox.claim("post", WORKER, 10)] == ["t2:000000"]
    (letter,) = await kit.outbox.dead("default")
    assert (letter.id, letter.message, letter.channel) == ("t1:000000", None, "post")
    assert "cannot be read" in letter.error


async def test_a_clock_that_was_set_back_holds_no_reply_up(kit: OutboxKit) -> None:
    database = database_of(kit)
    await kit.reply("t1")
    (delivery,) = await kit.outbox.claim("post", WORKER, 1)
    year = kit.clock.now() + 365 * 24 * LONGEST_WAIT
    await kit.outbox.failed(delivery, "wait a year", retry_at=year)
    assert await kit.outbox.claim("post", WORKER, 1) == []
    kit.clock.advance(LONGEST_WAIT.total_seconds() + 1)
    (delivery,) = await kit.outbox.claim("post", WORKER, 1)
    await kit.outbox.failed(delivery, "down", retry_at=kit.clock.now())
    await database.write([(database.prepare(PUT_OFF), {"next_at": 2**60})])
    (delivery,) = await kit.outbox.claim("post", WORKER, 1)
    assert delivery.attempts == 3


async def test_a_lease_of_a_clock_before_the_restart_is_over(kit: OutboxKit) -> None:
    database = database_of(kit)
    await kit.reply("t1")
    await kit.outbox.claim("post", "worker_0", 1)
    await database.write([(database.prepare(LEASE), {"lease_until": 2**60})])
    (delivery,) = await kit.outbox.claim("post", WORKER, 1)
    assert delivery.unknown


async def test_odd_text_and_odd_names_do_no_harm(kit: OutboxKit) -> None:
    await kit.reply("t1")
    (delivery,) = await kit.outbox.claim("post", WORKER, 1)
    await kit.outbox.failed(delivery, "a\0b\ud800" + "x" * 9_000, retry_at=None)
    (letter,) = await kit.outbox.dead("default")
    assert letter.error.startswith("ab?xxx")
    assert len(letter.error) <= 500
    assert await kit.outbox.dead("a\0b") == []
    assert await kit.outbox.retry("a\0b", "t1:000000") is False
    assert await kit.outbox.retry("default", "\ud800") is False


async def test_a_thousand_replies_are_drained_by_two_workers_each_once_and_in_order(
    kit: OutboxKit,
) -> None:
    clock = SystemClock()
    database = database_of(kit)
    for n in range(1_000):
        await kit.put(reply(f"t{n:04d}", chat_id=f"chat{n % 100}"), 0)
    one, two = Post(), Post()
    async with (
        asyncio.timeout(WITHIN_S),
        delivering({"post": one}, SqlOutbox(database, clock), clock, worker="worker_1"),
        delivering({"post": two}, SqlOutbox(database, clock), clock, worker="worker_2"),
    ):
        await seen(lambda: len(one.sends) + len(two.sends) >= 1_000)
    sends = one.sends + two.sends
    assert len(sends) == len(set(sends)) == 1_000
    rows = await kit.rows()
    assert {(state, attempts) for _, state, attempts, *_ in rows} == {("sent", 1)}
    for sent in (one.sends, two.sends):
        for chat in range(100):
            of_chat = [name for name in sent if int(name[1:5]) % 100 == chat]
            assert of_chat == sorted(of_chat)


@asynccontextmanager
async def sender(
    place: str, platform: Platform, kind: str, worker: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A replica that only sends; killed at the end, if it still lives."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.storage.sending_daemon", place, platform.url, kind, worker),
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def looking_into(place: Place) -> AsyncGenerator[OutboxKit]:
    """The place, from beside those who work in it."""
    clock = FakeClock()
    async with (
        place.open(exclusive=False) as store,
        aclosing(await open_database(place.url, exclusive=False)) as database,
    ):
        yield OutboxKit(
            outbox=SqlOutbox(database, clock),
            clock=clock,
            put=enqueuer(store, database),
            database=database,
        )


async def end_turns(place: Place, *replies: OutboundMessage) -> None:
    async with looking_into(place) as kit:
        for each in replies:
            await kit.put(each, 0)


async def kept(place: Place) -> list[tuple[str, str, int, str | None, str]]:
    async with looking_into(place) as kit:
        return await kit.rows()


async def all_sent(place: Place) -> None:
    async with looking_into(place) as kit:
        while {row[1] for row in await kit.rows()} != {"sent"}:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def seen(holds: Callable[[], bool]) -> None:
    """Wait for what other threads and processes do, without keeping them from it."""
    while not holds():  # noqa: ASYNC110 - they tell nobody
        await asyncio.sleep(0.01)


SEEN = {"idempotent": 1, "findable": 1, "neither": 2}
LOOKED = {"idempotent": 0, "findable": 1, "neither": 0}


@pytest.mark.parametrize("kind", SEEN)
async def test_a_kill_between_sending_and_committing_is_seen_as_rarely_as_the_platform_allows(
    place: Place, kind: str
) -> None:
    await end_turns(place, reply("t1"), reply("t2"))
    async with asyncio.timeout(WITHIN_S), platform_of(kind) as platform:
        platform.answers.clear()
        async with sender(place.url, platform, kind, "worker_1") as first:
            await platform.came.wait()
            first.kill()
            await first.wait()
        platform.answers.set()
        async with sender(place.url, platform, kind, "worker_2"):
            await seen(lambda: ("chat", "answer to t2") in platform.shown)
            await all_sent(place)
    answers = [text for _, text in platform.shown]
    assert answers == ["answer to t1"] * SEEN[kind] + ["answer to t2"]
    assert len(platform.looks) == LOOKED[kind]
    assert [row[3] for row in await kept(place)] == ["m0", "m1"]


async def test_two_replicas_and_a_kill_lose_nothing_and_repeat_nothing(place: Place) -> None:
    await end_turns(place, *(reply(f"t{n:02d}", chat_id=f"chat{n % 7}") for n in range(60)))
    async with (
        asyncio.timeout(WITHIN_S),
        platform_of("findable") as platform,
        sender(place.url, platform, "findable", "worker_1") as first,
        sender(place.url, platform, "findable", "worker_2"),
    ):
        await seen(lambda: len(platform.shown) >= 10)
        first.kill()
        await all_sent(place)
    assert len(platform.shown) == len(set(platform.shown)) == 60
    for chat in range(7):
        texts = [text for where, text in platform.shown if where == f"chat{chat}"]
        assert texts == sorted(texts)
