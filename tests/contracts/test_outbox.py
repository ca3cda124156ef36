"""What every outbox promises: the real ones on both databases, and the fake that stands in for them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from databot.channels.base import Delivery
from tests.storage.outboxes import WORKER, OutboxKit, outbox_in
from tests.storage.places import IMPLEMENTATIONS


@pytest.fixture(params=IMPLEMENTATIONS)
async def kit(request: pytest.FixtureRequest) -> AsyncIterator[OutboxKit]:
    async with outbox_in(request.param, request) as opened:
        yield opened


async def claim(kit: OutboxKit, *, worker: str = WORKER, limit: int = 10) -> Sequence[Delivery]:
    return await kit.outbox.claim("post", worker, limit)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


async def test_a_reply_is_claimed_once_and_with_everything_it_says(kit: OutboxKit) -> None:
    name = await kit.reply("t1")
    (delivery,) = await claim(kit)
    assert (delivery.id, delivery.turn_id, delivery.attempts) == (name, "t1", 1)
    assert delivery.message.content == "answer to t1"
    assert delivery.conversation.session_id == "chat"
    assert not delivery.unknown
    assert await claim(kit, worker="worker_2") == []
    assert await claim(kit) == [], "not even by its own worker"


async def test_the_same_reply_is_put_in_once(kit: OutboxKit) -> None:
    await kit.reply("t1")
    await kit.reply("t1")
    assert len(await kit.rows()) == 1


async def test_a_reply_that_was_sent_is_over(kit: OutboxKit) -> None:
    await kit.reply("t1")
    (delivery,) = await claim(kit)
    await kit.outbox.sent(delivery, "platform-7")
    await kit.leases_end()
    assert await claim(kit) == []
    assert await kit.rows() == [("t1:000000", "sent", 1, "platform-7", "")]


async def test_only_the_first_unsent_reply_of_a_conversation_is_claimed(kit: OutboxKit) -> None:
    for turn in ("t1", "t2", "t3"):
        await kit.reply(turn)
    order: list[str] = []
    for _ in range(3):
        (delivery,) = await claim(kit)
        assert await claim(kit) == []
        order.append(delivery.turn_id)
        await kit.outbox.sent(delivery)
    assert order == ["t1", "t2", "t3"]


async def test_the_parts_of_a_turn_keep_their_order(kit: OutboxKit) -> None:
    await kit.reply("t1")
    await kit.reply("t1", part=1)
    (first,) = await claim(kit)
    await kit.outbox.sent(first)
    (second,) = await claim(kit)
    assert (first.id, second.id) == ("t1:000000", "t1:000001")


async def test_conversations_channels_and_tenants_do_not_wait_for_each_other(
    kit: OutboxKit,
) -> None:
    await kit.reply("t1", chat_id="a")
    await kit.reply("t2", chat_id="b")
    await kit.reply("t3", chat_id="a", tenant_id="acme")
    await kit.reply("t4", chat_id="c", channel="pager")
    assert sorted(ids(await claim(kit))) == ["t1:000000", "t2:000000", "t3:000000"]
    assert ids(await kit.outbox.claim("pager", WORKER, 10)) == ["t4:000000"]


async def test_no_more_is_claimed_than_asked_for_and_every_conversation_has_its_turn(
    kit: OutboxKit,
) -> None:
    for n in range(5):
        await kit.reply(f"t{n}", chat_id=f"chat{n}")
    claimed = [ids(await claim(kit, limit=2)) for _ in range(3)]
    assert [len(some) for some in claimed] == [2, 2, 1]
    assert sorted(name for some in claimed for name in some) == [f"t{n}:000000" for n in range(5)]


async def test_a_busy_conversation_does_not_starve_the_others(kit: OutboxKit) -> None:
    for n in range(3):
        await kit.reply(f"busy{n}", chat_id="busy")
        await kit.reply(f"calm{n}", chat_id=f"calm{n}")
    served: list[str] = []
    for _ in range(4):
        (delivery,) = await claim(kit, limit=1)
        served.append(delivery.turn_id)
        await kit.outbox.sent(delivery)
        if kit.memory is not None:
            return  # the fake has no need of being fair
    assert served == ["busy0", "calm0", "calm1", "calm2"]


async def test_a_failed_reply_waits_and_holds_back_the_later_ones(kit: OutboxKit) -> None:
    await kit.reply("t1")
    await kit.reply("t2")
    (delivery,) = await claim(kit)
    later = kit.clock.now() + timedelta(seconds=60)
    await kit.outbox.failed(delivery, "the platform is down", retry_at=later)
    assert await claim(kit) == []
    kit.clock.advance(61)
    (again,) = await claim(kit)
    assert (again.id, again.attempts, again.unknown) == ("t1:000000", 2, False)


async def test_a_reply_nobody_heard_of_again_may_have_been_sent(kit: OutboxKit) -> None:
    await kit.reply("t1")
    await claim(kit)
    await kit.leases_end()
    (again,) = await claim(kit, worker="worker_2")
    assert (again.attempts, again.unknown) == (2, True)


async def test_what_is_not_known_once_stays_so_until_the_worker_says_otherwise(
    kit: OutboxKit,
) -> None:
    await kit.reply("t1")
    (first,) = await claim(kit)
    await kit.outbox.failed(first, "no answer", retry_at=kit.clock.now(), unknown=True)
    (second,) = await claim(kit)
    assert second.unknown
    await kit.outbox.failed(second, "not taken", retry_at=kit.clock.now())
    (third,) = await claim(kit)
    assert (third.attempts, third.unknown) == (3, False)


async def test_a_renewed_lease_keeps_others_away(kit: OutboxKit) -> None:
    await kit.reply("t1")
    (delivery,) = await claim(kit)
    await kit.leases_end()
    await kit.outbox.renew([delivery])
    await kit.outbox.renew([])
    assert await claim(kit, worker="worker_2") == []


async def test_a_worker_that_was_overtaken_can_only_say_that_it_did_send(kit: OutboxKit) -> None:
    await kit.reply("t1")
    (mine,) = await claim(kit)
    await kit.leases_end()
    (theirs,) = await claim(kit, worker="worker_2")
    await kit.outbox.failed(mine, "too late", retry_at=None)
    await kit.outbox.renew([mine])
    assert (await kit.rows())[0][1] == "unknown"
    await kit.outbox.sent(mine, "mine")
    await kit.outbox.sent(theirs, "theirs")
    await kit.outbox.failed(theirs, "too late", retry_at=None)
    assert await kit.rows() == [("t1:000000", "sent", 2, "mine", "")]


async def test_a_renewal_that_comes_late_does_not_take_the_reply_again(kit: OutboxKit) -> None:
    await kit.reply("t1")
    (delivery,) = await claim(kit)
    await kit.outbox.failed(delivery, "no answer", retry_at=kit.clock.now(), unknown=True)
    await kit.outbox.renew([delivery])
    assert ids(await claim(kit)) == ["t1:000000"]


async def test_a_given_up_reply_lets_the_next_one_pass_and_can_be_sent_after_all(
    kit: OutboxKit,
) -> None:
    await kit.reply("t1")
    await kit.reply("t2")
    (delivery,) = await claim(kit)
    await kit.outbox.failed(delivery, "the room is gone", retry_at=None)
    (letter,) = await kit.outbox.dead("default")
    assert (letter.id, letter.channel, letter.attempts) == ("t1:000000", "post", 1)
    assert (letter.error, letter.message) == ("the room is gone", delivery.message)
    assert await kit.outbox.dead("acme") == []
    (second,) = await claim(kit)
    await kit.outbox.sent(second)
    assert not await kit.outbox.retry("acme", "t1:000000")
    assert not await kit.outbox.retry("default", "t2:000000")
    assert await kit.outbox.retry("default", "t1:000000")
    assert not await kit.outbox.retry("default", "t1:000000")
    (again,) = await claim(kit)
    assert (again.id, again.attempts, again.unknown) == ("t1:000000", 1, True)
    assert await kit.outbox.dead("default") == []


async def test_the_backlog_tells_what_waits_and_what_was_given_up(kit: OutboxKit) -> None:
    assert await kit.outbox.backlog() == {}
    await kit.reply("t1")
    await kit.reply("t2", chat_id="other")
    await kit.reply("t3", channel="pager")
    first, second = sorted(await claim(kit), key=lambda delivery: delivery.id)
    await kit.outbox.failed(first, "gone", retry_at=None)
    found = await kit.outbox.backlog()
    assert (found["post"].waiting, found["post"].dead) == (1, 1)
    assert (found["pager"].waiting, found["pager"].dead) == (1, 0)
    assert found["pager"].oldest_at is not None
    await kit.outbox.sent(second)
    assert (await kit.outbox.backlog())["post"].oldest_at is None


async def test_workers_that_claim_at_once_never_get_the_same_reply(kit: OutboxKit) -> None:
    for n in range(40):
        await kit.reply(f"t{n:02d}", chat_id=f"chat{n % 20}")
    claims = [claim(kit, worker=f"worker_{n}", limit=3) for n in range(10)]
    claimed = [delivery.id for some in await asyncio.gather(*claims) for delivery in some]
    claimed += ids(await claim(kit, limit=50))
    assert len(claimed) == len(set(claimed)) == 20
    assert all(int(name[1:3]) < 20 for name in claimed), "the first of each conversation"
