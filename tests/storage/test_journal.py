import asyncio

import pytest

from databot.storage.open import Store
from databot.types.errors import ClaimLost, NotFound
from tests.storage.parts import Place, asked, begun, found, message, said, unfinished

CHAT = message().conversation


async def test_a_step_of_a_turn_that_is_not_there_is_refused(store: Store) -> None:
    claim = await begun(store, "t1", message())
    await store.sessions.delete(CHAT)
    with pytest.raises(NotFound):
        await store.journal.append(claim, said("t1", "x"))
    await store.inbox.ingest("t2", message())  # a conversation of that name is there again
    with pytest.raises(NotFound):
        await store.journal.append(claim, said("t1", "x"))


async def test_a_step_is_written_only_into_the_turn_of_its_claim(store: Store) -> None:
    claim = await begun(store, "t1", message())
    for other in (message(tenant_id="acme"), message()):
        await store.inbox.ingest(f"t2-{other.tenant_id}", other)
        await store.journal.append(claim, said(f"t2-{other.tenant_id}", "x"))
        assert list(await store.journal.steps(f"t2-{other.tenant_id}")) == []
    assert list(await store.journal.steps("t1")) == [said("t1", "x")]


async def test_a_step_written_by_many_at_once_is_there_once(store: Store) -> None:
    claim = await begun(store, "t1", message())
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(store.journal.append(claim, said("t1", f"writer {n}")) for n in range(20))
        )
    (step,) = await store.journal.steps("t1")
    assert step.messages[0].content.startswith("writer")


async def test_a_session_deleted_under_running_turns_leaves_nothing_behind(place: Place) -> None:
    async def work(number: int) -> None:
        await store.inbox.ingest(f"t{number}", message(message_id=f"m{number}"))
        claim = await store.claims.claim(CHAT)
        if claim is None:
            return
        try:
            await store.journal.append(claim, asked(claim.turn_id, "c"))
            await store.claims.settle(claim, "done", steps=[found(claim.turn_id, "c")])
        except (NotFound, ClaimLost):
            return

    async with place.open() as store:
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(work(n) for n in range(40)), *(store.sessions.delete(CHAT) for _ in range(5))
            )
        await store.sessions.delete(CHAT)
        assert await unfinished(store) == []
        assert await store.inbox.open_by_tenant() == {}
        assert [await store.journal.steps(f"t{n}") for n in range(40)] == [[]] * 40
        await store.inbox.ingest("fresh", message())
        assert list(await store.journal.history(CHAT, 10)) == []
