"""What every store of approvals promises: the real ones on both databases, and the fake that stands in for them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

import pytest

from databot.storage.base import ApprovalRequest, Claim
from databot.storage.open import Store
from databot.testing.clock import FakeClock
from databot.tools.base import Approval, Verdict
from databot.types.approvals import approval_id, call_digest
from tests.storage.parts import begun, claimed, message
from tests.storage.places import IMPLEMENTATIONS, clocked_store_in

CHAT = message().conversation
ARGUMENTS = '{"table": "orders", "note": "Größe 🙂"}'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=IMPLEMENTATIONS)
async def store(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Store]:
    async with clocked_store_in(request.param, request, clock) as opened:
        yield opened


def asking(clock: FakeClock, turn_id: str, call: str = "c1", **other: object) -> ApprovalRequest:
    arguments = str(other.get("arguments", ARGUMENTS))
    return ApprovalRequest(
        id=approval_id(turn_id, call),
        call_id=call,
        tool="drop",
        arguments=arguments,
        digest=call_digest("drop", arguments),
        expires_at=clock.now() + cast("timedelta", other.get("ttl", timedelta(days=7))),
    )


async def waits(store: Store, clock: FakeClock, turn_id: str, *calls: str) -> Claim:
    """A turn that waits for decisions on these calls."""
    claim = await begun(store, turn_id, message(chat_id=f"chat of {turn_id}"))
    await store.claims.hold(claim, [asking(clock, turn_id, call) for call in calls or ("c1",)])
    return claim


async def state(store: Store, turn_id: str) -> str:
    record = await store.inbox.turn("default", turn_id)
    assert record is not None
    return record.state


async def the(store: Store, approval: str) -> Approval:
    found = await store.approvals.find("default", approval)
    assert found is not None
    return found


async def test_what_is_asked_is_read_back_whole(store: Store, clock: FakeClock) -> None:
    claim = await waits(store, clock, "t1")
    (found,) = await store.approvals.pending("default")
    assert found == Approval(
        id=approval_id("t1", "c1"),
        conversation=claim.record.conversation,
        turn_id="t1",
        call_id="c1",
        tool="drop",
        arguments=ARGUMENTS,
        digest=call_digest("drop", ARGUMENTS),
        state="pending",
        requested_at=clock.now(),
        expires_at=clock.now() + timedelta(days=7),
    )
    assert await store.approvals.find("default", found.id) == found
    assert await store.approvals.asked("default", "t1", "c1") == found
    assert await store.approvals.asked("default", "t1", "c2") is None


async def test_what_waits_longest_comes_first_and_a_turn_can_be_asked_for(
    store: Store, clock: FakeClock
) -> None:
    for turn in ("t2", "t1", "t3"):
        await waits(store, clock, turn)
        clock.advance(1)
    found = await store.approvals.pending("default")
    assert [item.turn_id for item in found] == ["t2", "t1", "t3"]
    assert [item.turn_id for item in await store.approvals.pending("default", limit=2)] == [
        "t2",
        "t1",
    ]
    (one,) = await store.approvals.pending("default", turn_id="t1")
    assert one.turn_id == "t1"


async def test_nobody_sees_or_decides_what_another_tenant_was_asked(
    store: Store, clock: FakeClock
) -> None:
    await waits(store, clock, "t1")
    name = approval_id("t1", "c1")
    assert await store.approvals.pending("acme") == []
    assert await store.approvals.find("acme", name) is None
    assert await store.approvals.asked("acme", "t1", "c1") is None
    assert await store.approvals.decide("acme", name, "approve", by="eve") is None
    assert (await the(store, name)).state == "pending"


@pytest.mark.parametrize(("verdict", "expected"), [("approve", "approved"), ("deny", "denied")])
async def test_a_decision_lets_the_turn_go_on(
    store: Store, clock: FakeClock, verdict: Verdict, expected: str
) -> None:
    claim = await waits(store, clock, "t1")
    assert await store.claims.claim(claim.record.conversation) is None
    clock.advance(3600)
    name, words = approval_id("t1", "c1"), "only \0 the \ud800 copy"
    decided = await store.approvals.decide("default", name, verdict, by="ann", note=words)
    assert decided is not None
    found = await the(store, name)
    assert (found.state, found.decided_by, found.decided_at) == (expected, "ann", clock.now())
    assert found.note.startswith("only \0 the ")
    assert await state(store, "t1") == "queued"
    assert await store.approvals.pending("default") == []
    again = await claimed(store, "t1", claim.record.message)
    assert (again.attempt, again.resumed) == (1, True)


async def test_the_first_decision_stands(store: Store, clock: FakeClock) -> None:
    await waits(store, clock, "t1")
    name = approval_id("t1", "c1")
    assert await store.approvals.decide("default", name, "deny", by="ann") is not None
    assert await store.approvals.decide("default", name, "approve", by="bob") is None
    assert (await the(store, name)).state == "denied"


async def test_of_two_decisions_at_once_one_wins(store: Store, clock: FakeClock) -> None:
    await waits(store, clock, "t1")
    name = approval_id("t1", "c1")
    verdicts: list[Verdict] = ["approve", "deny"] * 10
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(
            *(
                store.approvals.decide("default", name, verdict, by=f"person {n}")
                for n, verdict in enumerate(verdicts)
            )
        )
    (winner,) = [outcome for outcome in outcomes if outcome is not None]
    assert await the(store, name) == winner


async def test_a_turn_waits_until_every_call_is_decided(store: Store, clock: FakeClock) -> None:
    await waits(store, clock, "t1", "c1", "c2")
    await store.approvals.decide("default", approval_id("t1", "c1"), "approve", by="ann")
    assert await state(store, "t1") == "waiting"
    await store.approvals.decide("default", approval_id("t1", "c2"), "deny", by="ann")
    assert await state(store, "t1") == "queued"


async def test_two_calls_decided_at_once_leave_no_turn_waiting(
    store: Store, clock: FakeClock
) -> None:
    turns = [f"t{n}" for n in range(20)]
    for turn in turns:
        await waits(store, clock, turn, "c1", "c2")
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(
                store.approvals.decide("default", approval_id(turn, call), "approve", by="ann")
                for turn in turns
                for call in ("c1", "c2")
            )
        )
    assert {await state(store, turn) for turn in turns} == {"queued"}


async def test_what_nobody_decided_in_time_expires_and_cannot_be_approved(
    store: Store, clock: FakeClock
) -> None:
    claim = await waits(store, clock, "t1")
    name = approval_id("t1", "c1")
    clock.advance(7 * 24 * 3600 - 1)
    assert await store.approvals.expire() == []
    clock.advance(1)
    assert await store.approvals.decide("default", name, "approve", by="late") is None
    assert ((await the(store, name)).state, await state(store, "t1")) == ("expired", "waiting")
    assert await store.approvals.pending("default") == []
    assert await store.approvals.expire() == [claim.record.conversation]
    assert ((await the(store, name)).state, await state(store, "t1")) == ("expired", "queued")
    assert await store.approvals.expire() == []


async def test_a_decision_frees_a_turn_whose_other_call_has_expired(
    store: Store, clock: FakeClock
) -> None:
    claim = await begun(store, "t1", message())
    short = asking(clock, "t1", "c1", ttl=timedelta(seconds=10))
    await store.claims.hold(claim, [short, asking(clock, "t1", "c2")])
    clock.advance(20)
    assert await store.approvals.expire() == []
    await store.approvals.decide("default", approval_id("t1", "c2"), "approve", by="ann")
    assert await state(store, "t1") == "queued"


async def test_nobody_is_asked_about_a_stopped_turn(store: Store, clock: FakeClock) -> None:
    await waits(store, clock, "t1")
    await store.inbox.stop("default", "t1", {"type": "cancelled", "message": "stopped"})
    name = approval_id("t1", "c1")
    assert await store.approvals.pending("default") == []
    assert await store.approvals.decide("default", name, "approve", by="ann") is None
    assert await state(store, "t1") == "cancelled"


async def test_asking_twice_asks_once(store: Store, clock: FakeClock) -> None:
    claim = await waits(store, clock, "t1")
    await store.approvals.decide("default", approval_id("t1", "c1"), "approve", by="ann")
    again = await claimed(store, "t1", claim.record.message)
    await store.claims.hold(again, [asking(clock, "t1", "c1"), asking(clock, "t1", "c2")])
    (found,) = await store.approvals.pending("default")
    assert found.call_id == "c2"
    assert (await the(store, approval_id("t1", "c1"))).state == "approved"


async def test_a_turn_that_was_left_waiting_for_nobody_goes_on(
    store: Store, clock: FakeClock
) -> None:
    claim = await begun(store, "t1", message())
    await store.claims.hold(claim, [])
    assert await store.approvals.expire() == [CHAT]
    assert await state(store, "t1") == "queued"


async def test_a_waiting_turn_takes_nobodys_place(store: Store, clock: FakeClock) -> None:
    await waits(store, clock, "t1")
    assert not await store.inbox.open_by_tenant()
    await store.approvals.decide("default", approval_id("t1", "c1"), "approve", by="ann")
    assert await store.inbox.open_by_tenant() == {"default": 1}


async def test_arguments_no_database_can_hold_are_asked_about_all_the_same(
    store: Store, clock: FakeClock
) -> None:
    claim = await begun(store, "t1", message())
    odd = asking(clock, "t1", arguments='{"x": "\0\ud800"')
    await store.claims.hold(claim, [odd])
    (found,) = await store.approvals.pending("default")
    assert found.digest == call_digest("drop", odd.arguments)


@pytest.mark.parametrize("name", ["no\0thing", "half \ud800", "x" * 600])
async def test_what_can_be_no_name_names_nothing(store: Store, name: str) -> None:
    assert await store.approvals.find("default", name) is None
    assert await store.approvals.find(name, "apr_1") is None
    assert await store.approvals.decide("default", name, "approve", by="ann") is None
    assert await store.approvals.asked("default", name, "c1") is None
    assert not await store.approvals.pending("default", turn_id=name)
