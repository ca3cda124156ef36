import asyncio

import pytest

from databot.storage.open import Store
from databot.types.errors import NotFound
from tests.storage.parts import Place, asked, found, message, said

CHAT = message().conversation


async def test_a_step_of_a_turn_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.journal.append(CHAT, said("nobody", "x"))
    with pytest.raises(NotFound):
        await store.journal.append(CHAT, said("a\0b", "x"))


async def test_a_step_is_written_only_into_its_own_conversation(store: Store) -> None:
    await store.inbox.ingest("t1", message())
    with pytest.raises(NotFound):
        await store.journal.append(message(tenant_id="acme").conversation, said("t1", "x"))
    assert list(await store.journal.steps("t1")) == []


async def test_a_step_written_by_many_at_once_is_there_once(store: Store) -> None:
    await store.inbox.ingest("t1", message())
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(store.journal.append(CHAT, said("t1", f"writer {n}")) for n in range(20))
        )
    (step,) = await store.journal.steps("t1")
    assert step.messages[0].content.startswith("writer")


async def test_a_session_deleted_under_running_turns_leaves_nothing_behind(place: Place) -> None:
    async def work(number: int) -> None:
        question = message(message_id=f"m{number}")
        await store.inbox.ingest(f"t{number}", question)
        await store.inbox.begin(f"t{number}")
        try:
            await store.journal.append(CHAT, asked(f"t{number}", "c"))
        except NotFound:
            return
        await store.inbox.settle(f"t{number}", "done", steps=[found(f"t{number}", "c")])

    async with place.open() as store:
        async with asyncio.timeout(60):
            await asyncio.gather(
                *(work(n) for n in range(40)), *(store.sessions.delete(CHAT) for _ in range(5))
            )
        await store.sessions.delete(CHAT)
        assert await store.inbox.unfinished() == []
        assert [await store.journal.steps(f"t{n}") for n in range(40)] == [[]] * 40
        await store.inbox.ingest("fresh", message())
        assert list(await store.journal.history(CHAT, 10)) == []
