"""What every store promises about claims, with two workers on one database: the real ones, and the memory twin."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from databot.storage.base import ApprovalRequest, Claim, Renewal, Step
from databot.storage.open import Store
from databot.testing.clock import START
from databot.types.chat import ChatMessage
from databot.types.errors import Busy, ClaimLost, NotFound
from databot.types.support import CallNote, CallReport
from tests.storage.crew import TTL_S, Crew, SqlCrew, crew_in
from tests.storage.parts import asked, begun, finish, found, message, reply, said
from tests.storage.places import DATABASES, IMPLEMENTATIONS

CHAT = message().conversation
ERROR = {"type": "cancelled", "message": "stopped"}
MANY = 20


@pytest.fixture(params=IMPLEMENTATIONS)
async def crew(request: pytest.FixtureRequest) -> AsyncIterator[Crew]:
    async with crew_in(request.param, request) as opened:
        yield opened


@pytest.fixture
def ours(crew: Crew) -> Store:
    return crew.stores[0]


@pytest.fixture
def theirs(crew: Crew) -> Store:
    return crew.stores[1]


async def taken(store: Store, chat: str = "chat") -> Claim:
    claim = await store.claims.claim(message(chat_id=chat).conversation)
    assert claim is not None
    return claim


async def state_of(store: Store, turn_id: str) -> str:
    record = await store.inbox.turn("default", turn_id)
    assert record is not None
    return record.state


def permission(call: str, name: str = "a1") -> ApprovalRequest:
    return ApprovalRequest(
        id=name,
        call_id=call,
        tool="shell",
        arguments="{}",
        digest="d",
        expires_at=START + timedelta(days=1),
    )


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
async def test_of_many_workers_that_claim_at_once_one_gets_the_conversation(
    implementation: str, request: pytest.FixtureRequest
) -> None:
    async with crew_in(implementation, request, workers=MANY) as crew, asyncio.timeout(60):
        await crew.stores[0].inbox.ingest("t1", message())
        await crew.stores[0].inbox.ingest("t2", message())
        for turn in ("t1", "t2"):
            claims = await asyncio.gather(*(each.claims.claim(CHAT) for each in crew.stores))
            (claim,) = [item for item in claims if item]
            assert claim.turn_id == turn
            await crew.stores[claims.index(claim)].claims.settle(claim, "done")


async def test_a_conversation_is_for_one_worker_until_its_turn_ends(
    ours: Store, theirs: Store
) -> None:
    claim = await begun(ours, "t1", message())
    await ours.inbox.ingest("t2", message())
    assert await theirs.claims.claim(CHAT) is None
    await ours.claims.settle(claim, "done")
    assert (await taken(theirs)).turn_id == "t2"
    assert await ours.claims.claim(CHAT) is None


async def test_other_conversations_are_free(ours: Store, theirs: Store) -> None:
    await begun(ours, "t1", message())
    await begun(theirs, "t2", message(chat_id="other"))
    await begun(theirs, "t3", message(tenant_id="acme"))


async def test_a_claim_shows_the_turn_as_it_runs(ours: Store, theirs: Store) -> None:
    question = message("Wie viele? 🙂", message_id="m1")
    claim = await begun(ours, "t1", question)
    assert (claim.attempt, claim.resumed, claim.stop_asked) == (1, False, False)
    assert claim.record.message == question
    assert claim.record == await ours.inbox.turn("default", "t1")
    assert claim.record == await theirs.inbox.turn("default", "t1")
    assert claim.record.state == "running"


async def test_nothing_to_do_is_no_claim(ours: Store) -> None:
    assert await ours.claims.claim(CHAT) is None
    await finish(ours, "t1", message(), "42")
    assert await ours.claims.claim(CHAT) is None
    odd = replace(CHAT, session_id="a\0b")
    assert await ours.claims.claim(odd) is None


async def test_turns_are_claimed_in_the_order_they_came(ours: Store, theirs: Store) -> None:
    for number in range(4):
        await ours.inbox.ingest(f"t{number}", message())
    order: list[str] = []
    for store in (ours, theirs, ours, theirs):
        claim = await taken(store)
        order.append(claim.turn_id)
        assert await store.claims.settle(claim, "done") is (len(order) < 4)
    assert order == ["t0", "t1", "t2", "t3"]


async def test_a_turn_that_waits_for_a_person_is_passed_over_until_the_decision(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    claim = await begun(ours, "t1", message())
    assert await ours.claims.hold(claim, [permission("c1")]) is False
    assert await state_of(theirs, "t1") == "waiting"
    assert await theirs.claims.claim(CHAT) is None
    await begun_behind(theirs, "t2")
    await crew.decide("t1")
    await crew.end_leases()
    again = await taken(ours)
    assert (again.turn_id, again.attempt, again.resumed) == ("t1", 1, True)


async def begun_behind(store: Store, turn_id: str) -> None:
    """A later message is answered while the earlier turn waits."""
    claim = await begun(store, turn_id, message())
    assert await store.claims.settle(claim, "done") is False


async def test_a_turn_that_was_stopped_meanwhile_waits_for_nobody(ours: Store) -> None:
    await ours.inbox.ingest("t1", message())
    claim = await taken(ours)
    assert await ours.inbox.stop("default", "t1", {"type": "cancelled", "message": "x"}) is False
    assert await ours.claims.hold(claim, [permission("c1")]) is True
    assert await state_of(ours, "t1") == "queued"
    assert await ours.approvals.pending("default") == []
    assert (await taken(ours)).stop_asked


async def test_holding_says_whether_another_turn_waits(ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    await ours.inbox.ingest("t2", message())
    assert await ours.claims.hold(claim, [permission("c1")]) is True


async def test_every_claim_has_a_higher_fence(crew: Crew, ours: Store, theirs: Store) -> None:
    fences = [(await begun(ours, "t1", message())).fence]
    for store in (theirs, ours, theirs):
        await crew.end_leases()
        fences.append((await taken(store)).fence)
    await theirs.claims.settle(await taken(theirs), "done")
    fences.append((await begun(ours, "t2", message())).fence)
    assert fences == sorted(set(fences))


async def test_a_worker_that_claims_what_it_has_takes_it_from_itself(ours: Store) -> None:
    first = await begun(ours, "t1", message())
    second = await taken(ours)
    assert (second.turn_id, second.attempt, second.resumed) == ("t1", 2, True)
    with pytest.raises(ClaimLost):
        await ours.journal.append(first, said("t1", "stale"))
    await ours.journal.append(second, said("t1", "fresh"))


async def overtaken(crew: Crew) -> tuple[Claim, Claim]:
    """A worker froze, its lease ended, and another one has its turn; both claims."""
    stale = await begun(crew.stores[0], "t1", message())
    await crew.end_leases()
    return stale, await taken(crew.stores[1])


async def test_whoever_lost_its_claim_writes_nothing(crew: Crew, ours: Store) -> None:
    stale, _ = await overtaken(crew)
    late = said("t1", "late")
    writes = (
        ours.journal.append(stale, late),
        ours.journal.note(stale, CallNote(step=0, call_id="c1")),
        ours.claims.settle(stale, "done", steps=[late], reply=reply("t1", "late")),
        ours.claims.hold(stale, [permission("c1")]),
    )
    for write in writes:
        with pytest.raises(ClaimLost):
            await write
    assert list(await ours.journal.steps("t1")) == []
    assert list(await ours.journal.notes("t1")) == []
    assert list(await ours.journal.history(CHAT, 9)) == []
    record = await ours.inbox.turn("default", "t1")
    assert record
    assert (record.state, record.reply) == ("running", None)


async def test_whoever_lost_its_claim_lets_go_of_nothing(crew: Crew, ours: Store) -> None:
    stale, held = await overtaken(crew)
    await ours.claims.release(stale)
    assert await ours.claims.renew([stale]) == [Renewal(lost=True)]
    assert await ours.claims.claim(CHAT) is None
    assert await crew.attempts("t1") == 2
    await crew.stores[1].journal.append(held, said("t1", "fresh"))
    await crew.stores[1].claims.settle(held, "done")


async def test_a_frozen_worker_nobody_missed_goes_on(crew: Crew, ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    await crew.end_leases()
    await ours.journal.append(claim, said("t1", "still here"))
    assert await ours.claims.renew([claim]) == [Renewal()]
    assert await crew.stores[1].claims.claim(CHAT) is None
    await ours.claims.settle(claim, "done")


@pytest.mark.parametrize("way", ["release", "hold", "settle"])
async def test_a_claim_that_was_let_go_of_writes_no_more(crew: Crew, ours: Store, way: str) -> None:
    claim = await begun(ours, "t1", message())
    if way == "release":
        await ours.claims.release(claim)
    elif way == "hold":
        await ours.claims.hold(claim, [permission("c1")])
    else:
        await ours.claims.settle(claim, "done")
    state = await state_of(ours, "t1")
    with pytest.raises(ClaimLost):
        await ours.journal.append(claim, said("t1", "late"))
    with pytest.raises(ClaimLost):
        await ours.journal.note(claim, CallNote(step=0, call_id="c1"))
    await ours.claims.release(claim)
    assert await ours.claims.renew([claim]) == [Renewal(lost=True)]
    assert await state_of(ours, "t1") == state
    assert list(await ours.journal.steps("t1")) == []


async def test_a_unit_that_is_run_twice_leaves_the_same_behind(crew: Crew, ours: Store) -> None:
    await begun(ours, "t1", message())
    await taken(ours)
    claim = await taken(ours)
    for _ in range(2):
        await ours.claims.release(claim)
    assert await crew.attempts("t1") == 2
    claim = await taken(ours)
    await ours.inbox.ingest("t2", message())
    assert [await ours.claims.hold(claim, [permission("c1")]) for _ in range(2)] == [True, True]
    await crew.decide("t1")
    assert await ours.claims.hold(claim, [permission("c1")]) is True
    assert await state_of(ours, "t1") == "queued"
    claim = await taken(ours)
    steps = [said("t1", "42")]
    assert [await ours.claims.settle(claim, "done", steps=steps) for _ in range(2)] == [True, True]
    assert list(await ours.journal.steps("t1")) == steps


async def test_the_first_end_stands_whoever_wants_another(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    stale, held = await overtaken(crew)
    await theirs.claims.settle(held, "done", reply=reply("t1", "first"))
    with pytest.raises(ClaimLost):
        await ours.claims.settle(stale, "failed", error=ERROR)
    assert await theirs.claims.settle(held, "failed", error=ERROR) is False
    record = await ours.inbox.turn("default", "t1")
    assert record
    assert (record.state, record.reply, record.error) == ("done", reply("t1", "first"), None)


async def test_attempts_count_claims_that_did_not_end_well(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    claim = await begun(ours, "t1", message())
    await ours.claims.release(claim)  # the daemon stopped: that is not the turn's fault
    claim = await taken(theirs)
    assert (claim.attempt, claim.resumed) == (1, True)
    for attempt in (2, 3):
        await crew.end_leases()  # a crash
        claim = await taken((ours, theirs)[attempt % 2])
        assert (claim.attempt, claim.resumed) == (attempt, True)
    store = theirs
    await store.claims.hold(claim, [permission("c1")])
    await crew.decide("t1")
    assert (await taken(ours)).attempt == 1


async def test_an_attempt_that_its_worker_outlived_does_not_count(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    stale = await begun(ours, "t1", message())
    await crew.end_leases()  # nobody had died: the worker was slow
    held = await taken(theirs)
    assert held.attempt == 2
    await ours.claims.outlived(stale)
    await theirs.journal.append(held, said("t1", "mine"))  # nothing else changed
    await crew.end_leases()  # a crash
    held = await taken(ours)
    assert held.attempt == 2
    await ours.claims.settle(held, "done", reply=reply("t1"))
    await ours.claims.outlived(stale)
    assert await state_of(ours, "t1") == "done"


async def test_a_turn_that_outlasts_every_lease_is_given_up_in_the_end(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    claim = await begun(ours, "t1", message())
    for _ in range(40):
        await crew.end_leases()
        later = await taken(theirs)
        await ours.claims.outlived(claim)
        ours, theirs, claim = theirs, ours, later
    assert claim.attempt > 5


async def test_a_turn_given_back_is_taken_by_anybody_at_once(ours: Store, theirs: Store) -> None:
    claim = await begun(ours, "t1", message())
    await ours.journal.append(claim, asked("t1", "c1"))
    await ours.claims.release(claim)
    assert await state_of(theirs, "t1") == "queued"
    assert await state_of(ours, "t1") == "queued"
    again = await taken(theirs)
    await theirs.journal.append(again, found("t1", "c1"))
    assert [step.step for step in await ours.journal.steps("t1")] == [0, 1]


@pytest.mark.parametrize("held", [False, True])
async def test_stopping_a_turn_nobody_works_on_ends_it(
    crew: Crew, ours: Store, theirs: Store, held: bool
) -> None:
    if held:
        await ours.claims.hold(await begun(ours, "t1", message("stop me")), [permission("c1")])
    else:
        await ours.inbox.ingest("t1", message("stop me"))
    assert await theirs.inbox.stop("acme", "t1", ERROR) is False
    assert await theirs.inbox.stop("default", "t1", ERROR) is True
    assert await theirs.inbox.stop("default", "t1", {"type": "x", "message": "again"}) is False
    record = await ours.inbox.turn("default", "t1")
    assert record
    assert (record.state, record.error) == ("cancelled", ERROR)
    await crew.decide("t1")
    assert await ours.claims.claim(CHAT) is None
    assert await ours.inbox.open_turns(CHAT) == []
    asked_ = ChatMessage(role="user", content="stop me")
    assert list(await ours.journal.history(CHAT, 9)) == [asked_]


@pytest.mark.parametrize("held", [False, True])
async def test_whoever_asked_is_told_once_that_a_turn_nobody_worked_on_was_stopped(
    ours: Store, theirs: Store, held: bool
) -> None:
    if held:
        await ours.claims.hold(await begun(ours, "t1", message()), [permission("c1")])
    else:
        await ours.inbox.ingest("t1", message())
    told = reply("t1", "it was stopped")
    assert await theirs.inbox.stop("acme", "t1", ERROR, deliver=told) is False
    for first in (True, False):
        assert await theirs.inbox.stop("default", "t1", ERROR, deliver=told) is first
    (delivery,) = await ours.outbox.claim(told.channel, "worker", 9)
    assert (delivery.message, delivery.turn_id) == (told, "t1")


async def test_a_stop_of_a_turn_that_runs_or_is_over_tells_nobody(ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    for _ in range(2):
        told = reply("t1", "it was stopped")
        assert await ours.inbox.stop("default", "t1", ERROR, deliver=told) is False
        assert await ours.outbox.claim(told.channel, "worker", 9) == []
        await ours.claims.settle(claim, "done")


async def test_what_is_told_of_a_stop_comes_after_all_that_was_told_before(ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    await ours.claims.settle(claim, "dead", error=ERROR, deliver=reply("t1", "no answer"))
    await ours.inbox.replay("default", "t1")
    assert await ours.inbox.stop("default", "t1", ERROR, deliver=reply("t1", "stopped"))
    for content in ("no answer", "stopped"):
        (delivery,) = await ours.outbox.claim("http", "worker", 9)
        assert delivery.message.content == content
        await ours.outbox.sent(delivery)


@pytest.mark.parametrize("implementation", DATABASES)
async def test_nobody_is_asked_about_a_turn_that_was_stopped(
    implementation: str, request: pytest.FixtureRequest
) -> None:
    async with crew_in(implementation, request) as crew:
        assert isinstance(crew, SqlCrew)
        store = crew.stores[0]
        for turn, chat in (("t1", "chat"), ("t2", "other")):
            claim = await begun(store, turn, message(chat_id=chat))
            await store.claims.hold(
                claim, [permission("c1", f"{turn}-a"), permission("c2", f"{turn}-b")]
            )
        await crew.run("UPDATE approval SET state = 'denied' WHERE id = 't1-b'")
        await store.inbox.stop("default", "t1", ERROR)
        rows = await crew.rows("SELECT id, state FROM approval ORDER BY id")
        assert [tuple(row) for row in rows] == [
            ("t1-a", "expired"),
            ("t1-b", "denied"),
            ("t2-a", "pending"),
            ("t2-b", "pending"),
        ]


async def test_the_wish_to_stop_a_running_turn_is_told_at_the_renewal_and_the_next_claim(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    claim = await begun(ours, "t1", message())
    assert await ours.claims.renew([claim]) == [Renewal()]
    assert await theirs.inbox.stop("default", "t1", ERROR) is False
    assert await state_of(ours, "t1") == "running"
    assert await ours.claims.renew([claim]) == [Renewal(stop_asked=True)]
    await crew.end_leases()
    again = await taken(theirs)
    assert again.stop_asked
    await theirs.claims.settle(again, "cancelled", error=ERROR)
    assert await ours.inbox.stop("default", "t1", ERROR) is False


async def test_stopping_what_has_ended_or_never_was_changes_nothing(ours: Store) -> None:
    await finish(ours, "t1", message(), "42")
    for turn in ("t1", "nobody", "a\0b"):
        assert await ours.inbox.stop("default", turn, ERROR) is False
    assert await state_of(ours, "t1") == "done"


async def test_a_turn_that_was_given_back_can_be_stopped_for_good(ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    await ours.claims.release(claim)
    assert await ours.inbox.stop("default", "t1", ERROR) is True
    with pytest.raises(ClaimLost):
        await ours.claims.settle(claim, "done", reply=reply("t1"))
    assert await state_of(ours, "t1") == "cancelled"


async def test_several_leases_are_renewed_together_each_with_its_answer(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    claims = [await begun(ours, f"t{n}", message(chat_id=f"c{n}")) for n in range(4)]
    await crew.end_leases()
    await taken(theirs, "c1")
    await theirs.inbox.stop("default", "t2", ERROR)
    await ours.sessions.delete(message(chat_id="c3").conversation)
    told = [Renewal(), Renewal(lost=True), Renewal(stop_asked=True), Renewal(lost=True)]
    assert await ours.claims.renew(claims) == told
    assert await ours.claims.renew([]) in ([], ())
    assert await theirs.claims.claim(message(chat_id="c0").conversation) is None


async def names(store: Store, older_than_s: float) -> list[str]:
    keys = await store.claims.stranded(older_than_s)
    return sorted(key.session_id for key in keys)


async def test_stranded_is_what_waits_for_a_worker_and_has_none(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    assert await names(theirs, 0) == []
    await ours.inbox.ingest("q1", message(chat_id="queued"))
    await ours.inbox.ingest("q2", message(chat_id="queued"))
    await begun(ours, "r", message(chat_id="running"))
    await ours.claims.hold(await begun(ours, "w", message(chat_id="waits")), [permission("c")])
    await finish(ours, "d", message(chat_id="done"), "42")
    crew.clock.advance(5)
    await ours.inbox.ingest("n", message(chat_id="new"))
    assert await names(theirs, 0) == ["new", "queued"]
    assert await names(theirs, 5) == ["queued"]
    assert await names(theirs, 6) == []
    await crew.end_leases()
    assert await names(theirs, 5) == ["queued", "running"]
    await taken(theirs, "queued")
    assert await names(ours, 0) == ["new", "running"]
    assert len(await ours.claims.stranded(0, limit=1)) == 1


async def test_a_lease_that_ends_too_far_ahead_is_over(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    claim = await begun(ours, "t1", message())
    assert await theirs.claims.claim(CHAT) is None
    await crew.set_clock_back()
    assert await names(theirs, 0) == ["chat"]
    assert (await taken(theirs)).turn_id == "t1"
    assert await ours.claims.renew([claim]) == [Renewal(lost=True)]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
async def test_a_lease_runs_out_by_itself_unless_it_is_renewed(
    implementation: str, request: pytest.FixtureRequest
) -> None:
    async with crew_in(implementation, request, lease_s=0.3) as crew, asyncio.timeout(30):
        ours, theirs = crew.stores
        await begun(ours, "t1", message())
        claim = None
        while claim is None:  # by its own clock where the database has one, by ours elsewhere
            crew.clock.advance(0.1)
            await asyncio.sleep(0.02)
            claim = await theirs.claims.claim(CHAT)
        assert claim.turn_id == "t1"


async def test_a_lease_that_is_renewed_lasts(crew: Crew, ours: Store, theirs: Store) -> None:
    claim = await begun(ours, "t1", message())
    for _ in range(4):
        crew.clock.advance(TTL_S * 0.6)
        assert await ours.claims.renew([claim]) == [Renewal()]
        assert await theirs.claims.claim(CHAT) is None


async def dead(store: Store, turn_id: str, chat: str = "chat", tenant: str = "default") -> Claim:
    claim = await begun(store, turn_id, message("poison", chat_id=chat, tenant_id=tenant))
    await store.journal.append(claim, asked(turn_id, "c1"))
    await store.claims.settle(claim, "dead", error=ERROR)
    return claim


async def test_dead_letters_are_listed_last_first_each_tenant_its_own(ours: Store) -> None:
    for turn, tenant in (("t1", "default"), ("t2", "acme"), ("t3", "default")):
        await dead(ours, turn, tenant=tenant)
    await finish(ours, "t4", message(), "42")
    assert [item.turn_id for item in await ours.inbox.dead("default")] == ["t3", "t1"]
    assert [item.turn_id for item in await ours.inbox.dead("acme")] == ["t2"]
    assert [item.turn_id for item in await ours.inbox.dead()] == ["t3", "t2", "t1"]
    assert [item.turn_id for item in await ours.inbox.dead(limit=1)] == ["t3"]
    assert list(await ours.inbox.dead("a\0b")) == []
    (letter,) = await ours.inbox.dead("acme")
    assert letter == await ours.inbox.turn("acme", "t2")
    assert (letter.state, letter.error) == ("dead", ERROR)


async def test_a_dead_turn_is_tried_again_from_its_last_row(ours: Store, theirs: Store) -> None:
    stale = await dead(ours, "t1")
    assert await ours.claims.claim(CHAT) is None
    assert await theirs.inbox.replay("acme", "t1") is None
    assert await theirs.inbox.replay("default", "t1") == CHAT
    assert await theirs.inbox.replay("default", "t1") is None
    record = await ours.inbox.turn("default", "t1")
    assert record
    assert (record.state, record.error) == ("queued", None)
    with pytest.raises(ClaimLost):
        await ours.claims.settle(stale, "dead", error=ERROR)
    claim = await taken(theirs)
    assert (claim.turn_id, claim.attempt, claim.resumed) == ("t1", 1, True)
    assert list(await theirs.journal.steps("t1")) == [asked("t1", "c1")]
    await theirs.claims.settle(claim, "done", steps=[found("t1", "c1")], reply=reply("t1"))
    assert await ours.inbox.dead("default") == []
    assert [item.role for item in await ours.journal.history(CHAT, 9)] == [
        "user",
        "assistant",
        "tool",
    ]


async def test_only_dead_turns_are_tried_again(ours: Store) -> None:
    await finish(ours, "t1", message(), "42")
    await begun(ours, "t2", message())
    for turn in ("t1", "t2", "nobody", "a\0b"):
        assert await ours.inbox.replay("default", turn) is None
    assert await state_of(ours, "t1") == "done"


async def test_a_turn_tried_again_is_no_part_of_the_history_meanwhile(ours: Store) -> None:
    await finish(ours, "t1", message("one"), "1")
    await finish(ours, "t2", message("two"), "2")
    await dead(ours, "t3")
    await ours.inbox.replay("default", "t3")
    history = await ours.journal.history(CHAT, 2)
    assert [item.content for item in history] == ["one", "1", "two", "2"]


async def test_a_full_conversation_takes_no_more_and_keeps_nothing_of_it(ours: Store) -> None:
    for number in range(3):
        await ours.inbox.ingest(f"t{number}", message(message_id=f"m{number}"), most_waiting=3)
    with pytest.raises(Busy):
        await ours.inbox.ingest("t9", message(message_id="m9"), most_waiting=3)
    assert await ours.inbox.turn("default", "t9") is None
    assert await ours.inbox.open_turns(CHAT) == ["t0", "t1", "t2"]
    again = await ours.inbox.ingest("t8", message(message_id="m1"), most_waiting=3)
    assert (again.turn_id, again.duplicate) == ("t1", True)
    await ours.inbox.ingest("other", message(chat_id="other"), most_waiting=3)
    await taken(ours)  # what runs does not wait
    await ours.inbox.ingest("t9", message(message_id="m9"), most_waiting=3)
    with pytest.raises(Busy):
        await ours.inbox.ingest("t10", message(), most_waiting=3)


async def test_a_refused_message_leaves_no_empty_conversation_behind(ours: Store) -> None:
    with pytest.raises(Busy):
        await ours.inbox.ingest("t1", message(), most_waiting=0)
    assert await ours.sessions.list("default") == []


async def test_notes_on_calls_are_read_back_the_intent_first(ours: Store, theirs: Store) -> None:
    claim = await begun(ours, "t1", message())
    assert list(await ours.journal.notes("t1")) == []
    intents = [CallNote(step=step, call_id=call) for step, call in ((3, "c9"), (1, "c1"))]
    result = CallNote(
        step=1,
        call_id="c1",
        result=ChatMessage(role="tool", content="ok", tool_call_id="c1", name="shell"),
        report=CallReport(call_id="c1", ok=True, ms=1.5, summary="done", figures=(1.0,)),
    )
    for note in (*intents, result):
        await ours.journal.note(claim, note)
    assert list(await theirs.journal.notes("t1")) == [intents[1], result, intents[0]]
    assert list(await ours.journal.steps("t1")) == []
    assert [item.role for item in await ours.sessions.messages(CHAT)] == ["user"]
    await ours.claims.settle(claim, "done")
    assert [item.role for item in await ours.journal.history(CHAT, 1)] == ["user"]


async def test_of_each_call_the_first_note_of_a_kind_stands(crew: Crew, ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    results = [
        CallNote(
            step=1,
            call_id="c1 \ud800 " + "x" * 3000,
            result=ChatMessage(role="tool", content=text, tool_call_id="c1", name="shell"),
        )
        for text in ("first", "second")
    ]
    await ours.journal.note(claim, replace(results[0], result=None))
    for note in results:
        await ours.journal.note(claim, note)
    await crew.end_leases()
    again = await taken(crew.stores[1])
    await crew.stores[1].journal.note(again, results[1])
    kept = await ours.journal.notes("t1")
    assert [note.result and note.result.content for note in kept] == [None, "first"]


async def test_what_was_deleted_meanwhile_is_not_found(crew: Crew, ours: Store) -> None:
    claim = await begun(ours, "t1", message())
    await crew.stores[1].sessions.delete(CHAT)
    step: Sequence[Step] = [said("t1", "late")]
    writes = (
        ours.journal.append(claim, step[0]),
        ours.journal.note(claim, CallNote(step=0, call_id="c1")),
        ours.claims.settle(claim, "done", steps=step, reply=reply("t1")),
        ours.claims.hold(claim, [permission("c1")]),
    )
    for write in writes:
        with pytest.raises(NotFound):
            await write
    await ours.claims.release(claim)
    assert await ours.claims.renew([claim]) == [Renewal(lost=True)]
    assert await ours.sessions.list("default") == []
    again = await begun(ours, "t2", message())  # a new one of the same name is nobody's yet
    assert (again.attempt, again.resumed) == (1, False)


async def test_what_another_worker_gave_back_is_not_shown_as_ours(
    crew: Crew, ours: Store, theirs: Store
) -> None:
    stale, held = await overtaken(crew)
    await theirs.claims.release(held)
    with pytest.raises(ClaimLost):
        await ours.claims.settle(stale, "done")
    assert await state_of(ours, "t1") == "queued"


@pytest.mark.parametrize("implementation", DATABASES)
async def test_a_dead_turn_that_is_tried_again_is_answered_after_its_failure_was_told(
    implementation: str, request: pytest.FixtureRequest
) -> None:
    async with crew_in(implementation, request) as crew:
        assert isinstance(crew, SqlCrew)
        store = crew.stores[0]
        claim = await begun(store, "t1", message())
        await store.claims.settle(claim, "dead", error=ERROR, deliver=reply("t1", "no answer"))
        await store.inbox.replay("default", "t1")
        claim = await taken(store)
        for _ in range(2):  # the unit may be run twice
            await store.claims.settle(claim, "done", deliver=reply("t1", "42"))
        rows = await crew.rows("SELECT body FROM outbox ORDER BY seq, id")
        assert len(rows) == 2
        assert "no answer" in rows[0][0]
        assert "42" in rows[1][0]


@pytest.mark.service
async def test_a_claim_that_finds_its_turn_ended_keeps_nobody_out(
    request: pytest.FixtureRequest, postgres_url: str
) -> None:
    async with crew_in("postgres", request) as crew, asyncio.timeout(60):
        assert isinstance(crew, SqlCrew)
        ours, theirs = crew.stores
        claim = await begun(ours, "t1", message())
        await crew.end_leases()  # so that both may have it, and both want the row
        async with held_row(crew, postgres_url) as admin:
            settling = asyncio.ensure_future(ours.claims.settle(claim, "done"))
            await until_waiting(admin, 1)
            claiming = asyncio.ensure_future(theirs.claims.claim(CHAT))
            await until_waiting(admin, 2)
        await settling
        assert await claiming is None
        await ours.inbox.ingest("t2", message())
        assert (await taken(ours)).turn_id == "t2"


@asynccontextmanager
async def held_row(crew: SqlCrew, server: str) -> AsyncGenerator[asyncpg.Connection]:
    """The rows of all conversations are locked, so that those who write of them queue up."""
    (row,) = await crew.rows("SELECT current_schema()::text")
    admin = await asyncpg.connect(server)
    try:
        async with admin.transaction():
            await admin.execute(f"SELECT id FROM {row[0]}.conversation FOR UPDATE")
            yield admin
    finally:
        await admin.close()


async def until_waiting(admin: asyncpg.Connection, count: int) -> None:
    """Until so many of databot's connections wait for a lock."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'databot' AND wait_event_type = 'Lock'"
    )
    while int(await admin.fetchval(waiting) or 0) < count:
        await admin.execute("SELECT pg_stat_clear_snapshot()")
