"""What the store counts for operators, on both databases."""

from datetime import timedelta

from databot.storage.base import ApprovalRequest
from databot.storage.figures import SqlFigures, StoreFigures
from databot.storage.open import Store
from databot.types.approvals import approval_id, call_digest
from tests.storage.parts import Place, begun, finish, message


def figures_of(store: Store) -> SqlFigures:
    assert store.figures is not None
    return store.figures


async def test_an_empty_store_has_nothing_waiting(store: Store) -> None:
    told = await figures_of(store).read()
    assert told == StoreFigures(waiting={}, oldest_s=0.0, dead=0, asked=0)


async def test_what_waits_is_counted_by_tenant_and_what_runs_or_ended_is_not(place: Place) -> None:
    async with place.open() as store:
        await finish(store, "t1", message(chat_id="done"), "Fine.")
        await begun(store, "t2", message(chat_id="runs"))
        await store.inbox.ingest("t3", message(chat_id="runs"))
        place.clock.advance(5)
        await store.inbox.ingest("t4", message(chat_id="b", tenant_id="acme"))
        await store.inbox.ingest("t5", message(chat_id="c", tenant_id="acme"))
        place.clock.advance(7)
        told = await figures_of(store).read()
    assert told == StoreFigures(waiting={"default": 1, "acme": 2}, oldest_s=12.0, dead=0, asked=0)


async def test_a_clock_that_was_set_back_gives_no_negative_age(place: Place) -> None:
    async with place.open() as store:
        await store.inbox.ingest("t1", message())
        place.clock.advance(-3_600)
        assert (await figures_of(store).read()).oldest_s == 0


async def test_dead_turns_and_open_questions_are_counted_until_they_are_over(place: Place) -> None:
    async with place.open() as store:
        dead = await begun(store, "t1", message(chat_id="a"))
        await store.claims.settle(dead, "dead", error={"type": "gave_up", "message": "x"})
        asking = await begun(store, "t2", message(chat_id="b"))
        await store.claims.hold(
            asking,
            [
                ApprovalRequest(
                    id=approval_id("t2", call),
                    call_id=call,
                    tool="drop",
                    arguments="{}",
                    digest=call_digest("drop", "{}"),
                    expires_at=place.clock.now() + timedelta(hours=hours),
                )
                for call, hours in (("c1", 1), ("c2", 2))
            ],
        )
        told = await figures_of(store).read()
        assert (told.dead, told.asked, told.waiting) == (1, 2, {})
        place.clock.advance(3_601)
        assert (await figures_of(store).read()).asked == 1
        await store.inbox.replay("default", "t1")
        told = await figures_of(store).read()
        assert (told.dead, told.waiting) == (0, {"default": 1})


async def test_each_commit_somebody_waited_for_is_timed_and_no_other(store: Store) -> None:
    commits = figures_of(store).commits
    assert commits().count == 0
    await store.inbox.ingest("t1", message())
    counted = commits().count
    assert counted == 1
    await store.claims.claim(message().conversation, certain=False)
    assert commits().count == counted
    told = commits()
    assert told.within[-1][1] <= told.count
    assert told.seconds > 0
