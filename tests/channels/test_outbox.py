"""The worker of the outbox: every reply arrives, in order, and as rarely twice as the platform allows."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from databot.channels import outbox as worker_module
from databot.channels.base import (
    Capabilities,
    Delivery,
    DeliveryError,
    DeliveryRefused,
    RetryAfter,
)
from databot.channels.outbox import SENDS_AT_ONCE
from databot.testing.clock import FakeClock
from databot.testing.memory_outbox import KeptDelivery, MemoryOutbox
from databot.types.errors import StorageError, StorageUnavailable
from tests.channels.post import SECONDS, Post, delivering, reply, until

DOWN = DeliveryError("the platform is down")


class Bench:
    """An outbox, a clock and a channel."""

    def __init__(self, post: Post, outbox: "Flaky | None" = None) -> None:
        self.clock = outbox.clock if outbox else FakeClock()
        self.outbox: MemoryOutbox = outbox or MemoryOutbox(self.clock)
        self.post = post

    def put(self, turn_id: str, chat_id: str = "chat") -> KeptDelivery:
        return self.outbox.kept[self.outbox.put(reply(turn_id, chat_id=chat_id))]

    async def sweep(self) -> None:
        """Two seconds go by."""
        await self.clock.until_sleeping(2)
        self.clock.advance(2)

    async def after(self, *items: KeptDelivery, state: str) -> None:
        """Let time go by until they are in that state."""
        async with asyncio.timeout(SECONDS):
            while any(item.state != state for item in items):
                self.clock.advance(0.5)
                await asyncio.sleep(0)


async def test_a_reply_is_sent_when_the_worker_is_told_of_it() -> None:
    bench = Bench(Post())
    async with delivering({"post": bench.post}, bench.outbox, bench.clock) as worker:
        await bench.clock.until_sleeping(2)
        item = bench.put("t1")
        worker.wake("post")
        worker.wake("http")
        await until(lambda: item.state == "sent")
    assert bench.post.taken == {"t1:000000": "answer to t1"}
    assert (item.platform_id, item.attempts) == ("post-t1:000000", 1)


async def test_what_another_worker_left_behind_is_found_by_the_sweep() -> None:
    bench = Bench(Post())
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.clock.until_sleeping(2)
        item = bench.put("t1")
        await bench.sweep()
        await until(lambda: item.state == "sent")


async def test_the_order_in_a_conversation_holds_through_failures() -> None:
    script = [DOWN, None, ConnectionResetError(), DOWN, RetryAfter(7), None]
    bench = Bench(Post(*script, able=Capabilities(idempotent_sends=True)))
    items = [bench.put(f"t{n}") for n in range(5)]
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(*items, state="sent")
    assert list(bench.post.taken) == [f"t{n}:000000" for n in range(5)]
    assert len(bench.post.sends) == 9


async def test_pauses_grow_and_a_platform_that_names_its_own_is_left_alone_for_so_long() -> None:
    bench = Bench(Post(DOWN, DOWN, RetryAfter(120)))
    item = bench.put("t1")
    pauses: list[timedelta] = []
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        for tries in (1, 2, 3):
            await until(lambda tries=tries: item.attempts == tries and item.owner is None)
            assert item.next_at is not None
            pauses.append(item.next_at - bench.clock.now())
            bench.clock.advance(pauses[-1].total_seconds() - 0.1)
            await bench.sweep()
        await until(lambda: item.state == "sent")
    assert pauses == [timedelta(seconds=n) for n in (1, 2, 120)]


async def test_a_refused_reply_is_given_up_at_once_and_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(Post(DeliveryRefused("databot was removed from the room")))
    refused, later = bench.put("t1"), bench.put("t2")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: later.state == "sent")
    (letter,) = await bench.outbox.dead("default")
    assert (letter.id, letter.error) == (refused.id, "databot was removed from the room")
    assert "reply t1:000000 is given up after 1 tries" in caplog.text


async def test_a_reply_that_fails_eight_times_is_given_up() -> None:
    bench = Bench(Post(*[DOWN] * 20))
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, state="dead")
    assert len(bench.post.sends) == item.attempts == 8


async def died_while_sending(bench: Bench, *, taken: bool) -> KeptDelivery:
    """A worker claims a reply, sends it perhaps, and is never heard of again."""
    item = bench.put("t1")
    (delivery,) = await bench.outbox.claim("post", "worker_0", 1)
    if taken:
        await bench.post.send(delivery.message, delivery.id)
    bench.clock.advance(bench.outbox.lease_s + 1)
    return item


async def test_a_platform_that_knows_a_delivery_again_is_sent_it_again() -> None:
    bench = Bench(Post(able=Capabilities(idempotent_sends=True, can_find=True)))
    item = await died_while_sending(bench, taken=True)
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: item.state == "sent")
    assert (bench.post.sends, bench.post.looks) == (["t1:000000", "t1:000000"], [])


@pytest.mark.parametrize("taken", [True, False])
async def test_a_platform_that_can_find_it_is_asked_before_it_is_sent_again(taken: bool) -> None:
    bench = Bench(Post(able=Capabilities(can_find=True)))
    item = await died_while_sending(bench, taken=taken)
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: item.state == "sent")
    assert (bench.post.sends, bench.post.looks) == (["t1:000000"], ["t1:000000"])
    assert item.platform_id == ("found-t1:000000" if taken else "post-t1:000000")


async def test_a_platform_that_can_neither_gets_it_once_more_and_then_no_more() -> None:
    bench = Bench(Post(TimeoutError(), TimeoutError(), TimeoutError()))
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, state="dead")
    assert len(bench.post.sends) == 2, "a person sees it twice at most"
    assert "may have been sent" in item.error


async def test_what_certainly_was_not_taken_is_tried_on_even_there() -> None:
    bench = Bench(Post(TimeoutError(), DOWN, DOWN, None))
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, state="sent")
    assert item.attempts == 4


async def test_a_channel_that_takes_nothing_holds_up_no_other_and_has_its_bound() -> None:
    slow, quick = Post(), Post()
    slow.gate.clear()
    bench = Bench(quick)
    for n in range(3 * SENDS_AT_ONCE):
        bench.outbox.put(reply(f"s{n}", chat_id=f"chat{n}", channel="slow"))
    items = [bench.put(f"q{n}", f"chat{n % 5}") for n in range(50)]
    async with delivering({"slow": slow, "post": quick}, bench.outbox, bench.clock):
        await until(lambda: all(item.state == "sent" for item in items))
        assert (slow.at_once, slow.taken) == (SENDS_AT_ONCE, {})
        slow.gate.set()
        await until(lambda: len(slow.taken) == 3 * SENDS_AT_ONCE)
    assert slow.most_at_once == SENDS_AT_ONCE


async def test_a_vendors_error_tells_its_type_and_none_of_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "databot")
    bench = Bench(Post(OSError("POST https://hooks.example/T0/xoxb-secret refused"), None))
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: item.attempts == 1 and item.owner is None)
        assert item.error == "the channel failed (OSError)"
        await bench.after(item, state="sent")
    assert "was not sent at try 1: the channel failed (OSError)" in caplog.text
    assert "in send" in caplog.text
    assert "xoxb" not in caplog.text


async def test_a_channel_that_something_cancels_has_only_failed() -> None:
    bench = Bench(Post(asyncio.CancelledError(), None))
    item, other = bench.put("t1"), bench.put("t2", "other")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, other, state="sent")
    assert item.attempts + other.attempts == 3


class Flaky(MemoryOutbox):
    """Fails as the `troubles` say, one a call; then it works."""

    def __init__(self, clock: FakeClock, *troubles: Exception) -> None:
        super().__init__(clock)
        self.clock = clock
        self.troubles = list(troubles)
        self.renewals = 0

    def _stumble(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)

    async def sent(self, delivery: Delivery, platform_id: str | None = None) -> None:
        self._stumble()
        await super().sent(delivery, platform_id)


class FlakyClaims(Flaky):
    async def claim(self, channel: str, worker: str, limit: int) -> Sequence[Delivery]:
        self._stumble()
        return await super().claim(channel, worker, limit)


class FlakyRenewals(Flaky):
    async def renew(self, deliveries: Sequence[Delivery]) -> None:
        self._stumble()
        await super().renew(deliveries)
        self.renewals += 1


async def test_a_result_waits_for_the_store_and_the_reply_is_not_sent_again() -> None:
    bench = Bench(Post(), Flaky(FakeClock(), *[StorageUnavailable("locked")] * 5))
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, state="sent")
    assert bench.post.sends == ["t1:000000"]


async def test_a_result_the_store_will_never_take_leaves_the_reply_to_be_looked_for() -> None:
    outbox = Flaky(FakeClock(), StorageError("broken"))
    bench = Bench(Post(able=Capabilities(can_find=True)), outbox)
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, state="sent")
    assert (bench.post.sends, item.platform_id) == (["t1:000000"], "found-t1:000000")


async def test_a_channel_with_a_mistake_in_it_harms_only_its_own_replies() -> None:
    class Broken(Post):
        def capabilities(self) -> Capabilities:
            raise ZeroDivisionError

    bench = Bench(Post())
    bench.outbox.put(reply("b1", channel="broken"))
    item = bench.put("t1")
    channels = {"broken": Broken(), "post": bench.post}
    async with delivering(channels, bench.outbox, bench.clock):
        await until(lambda: item.state == "sent")
        await bench.sweep()
        later = bench.put("t2")
        await bench.sweep()
        await until(lambda: later.state == "sent")
    assert bench.outbox.kept["b1:000000"].state == "sending"


async def test_claims_that_fail_are_made_again_at_the_next_sweep() -> None:
    bench = Bench(Post(), FlakyClaims(FakeClock(), StorageUnavailable("locked"), KeyError()))
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await bench.after(item, state="sent")
    assert bench.post.sends == ["t1:000000"]


async def test_a_long_sending_keeps_its_lease_also_when_a_renewal_fails() -> None:
    outbox = FlakyRenewals(FakeClock(), StorageUnavailable("locked"))
    bench = Bench(Post(), outbox)
    bench.post.gate.clear()
    item = bench.put("t1")
    async with delivering({"post": bench.post}, outbox, bench.clock):
        await until(lambda: bench.post.at_once == 1)
        for done in range(10):
            await bench.clock.until_sleeping(2)
            bench.clock.advance(outbox.lease_s / 3)
            await until(lambda done=done: outbox.renewals >= done and not outbox.troubles)
            assert await outbox.claim("post", "worker_2", 1) == []
        bench.post.gate.set()
        await until(lambda: item.state == "sent")
    assert bench.post.sends == ["t1:000000"]


async def test_a_standstill_longer_than_the_lease_does_not_send_twice_at_once() -> None:
    bench = Bench(Post())
    bench.post.gate.clear()
    item = bench.put("t1")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: bench.post.at_once == 1)
        await bench.clock.until_sleeping(2)
        item.leased_until = 0.0
        bench.clock.advance(2)
        await until(lambda: item.attempts == 2)
        bench.post.gate.set()
        await until(lambda: item.state == "sent")
    assert bench.post.sends == ["t1:000000"]


async def test_a_stopping_worker_sends_what_is_due_and_what_it_has_begun() -> None:
    bench = Bench(Post())
    bench.post.gate.clear()
    items = [bench.put(f"t{n}", f"chat{n}") for n in range(2 * SENDS_AT_ONCE)]
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: bench.post.at_once == SENDS_AT_ONCE)
        asyncio.get_running_loop().call_later(0.05, bench.post.gate.set)
    assert {item.state for item in items} == {"sent"}


async def test_a_sending_that_does_not_end_is_left_to_the_next_worker_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "FLUSH_S", 0.01)
    monkeypatch.setattr(worker_module, "DRAIN_S", 0.02)
    bench = Bench(Post(able=Capabilities(can_find=True)))
    bench.post.gate.clear()
    item = bench.put("t1")
    waiting = bench.put("t2")
    async with delivering({"post": bench.post}, bench.outbox, bench.clock):
        await until(lambda: bench.post.at_once == 1)
    assert (item.state, waiting.state) == ("unknown", "pending")
    (delivery,) = await bench.outbox.claim("post", "worker_2", 1)
    assert (delivery.id, delivery.unknown) == ("t1:000000", True)


async def test_a_worker_without_channels_waits_and_stops() -> None:
    bench = Bench(Post())
    async with delivering({}, bench.outbox, bench.clock) as worker:
        worker.wake("post")
        await bench.clock.until_sleeping(2)
