import pytest

from databot.storage import inbox
from databot.storage.open import Store
from databot.types.errors import NotFound, RequestError
from databot.types.messages import Attachment, InboundMessage, Principal
from tests.storage.parts import Place, begun, finish, message, reply, said, unfinished


async def test_what_was_accepted_is_there_after_a_restart(place: Place) -> None:
    async with place.open() as store:
        await finish(store, "t1", message("first"), "one")
        claim = await begun(store, "t2", message("second", message_id="m2"))
        await store.journal.append(claim, said("t2", "half"))
        await store.inbox.ingest("t3", message("third"))
    async with place.open() as store:
        left = await unfinished(store)
        assert [(item.turn_id, item.state) for item in left] == [
            ("t2", "running"),
            ("t3", "queued"),
        ]
        assert list(await store.journal.steps("t2")) == [said("t2", "half")]
        assert len(await store.journal.history(message().conversation, 10)) == 2
        again = await store.inbox.ingest("t9", message("second", message_id="m2"))
        assert (again.turn_id, again.duplicate) == ("t2", True)
        assert (await store.inbox.ingest("t4", message())).seq > left[-1].seq


async def test_accepting_the_same_turn_twice_is_a_duplicate_of_itself(store: Store) -> None:
    first = await store.inbox.ingest("t1", message())
    again = await store.inbox.ingest("t1", message())
    assert (again.turn_id, again.seq, again.duplicate) == ("t1", first.seq, True)


async def test_attachments_are_kept_byte_for_byte(store: Store) -> None:
    data = bytes(range(256))
    question = InboundMessage(
        channel="http",
        chat_id="chat",
        sender_id="ada",
        content="look",
        principal=Principal(id="ada"),
        attachments=(
            Attachment(name="../a'.bin", media_type="x/y", data=data),
            Attachment(name="e"),
        ),
    )
    await store.inbox.ingest("t1", question)
    record = await store.inbox.turn("default", "t1")
    assert record is not None
    assert record.message == question


@pytest.mark.parametrize("name", ["a\0b", "\ud83d", "x" * 600])
async def test_a_name_no_database_can_hold_is_refused_before_anything_is_written(
    store: Store, name: str
) -> None:
    for question in (
        message(chat_id=name),
        message(tenant_id=name),
        message(bot_id=name),
        message(channel=name),
        message(message_id=name),
    ):
        with pytest.raises(RequestError):
            await store.inbox.ingest("t1", question)
    with pytest.raises(RequestError):
        await store.inbox.ingest(name, message())
    assert await store.sessions.list("default") == []


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE inbox; --", "%s", "$1", ":tenant_id", "?", "ä🙂\n"]
)
async def test_hostile_names_are_only_names(store: Store, name: str) -> None:
    question = message(chat_id=name, message_id=name, tenant_id=name, bot_id=name, channel=name)
    await finish(store, name, question, "ok")
    record = await store.inbox.turn(name, name)
    assert record is not None
    assert record.message == question
    assert await store.sessions.find(name, name) == question.conversation


async def test_content_no_text_column_can_hold_is_kept_or_mended(store: Store) -> None:
    await store.inbox.ingest("t1", message("nul \0 stays"))
    await store.inbox.ingest("t2", message("half \ud800 goes"))
    first, second = await unfinished(store)
    assert first.message.content == "nul \0 stays"
    assert second.message.content == "half ? goes"


async def test_an_open_state_does_not_end_a_turn(store: Store) -> None:
    claim = await begun(store, "t1", message())
    with pytest.raises(ValueError, match="running"):
        await store.claims.settle(claim, "running")


async def test_settling_or_claiming_a_turn_that_was_deleted_changes_nothing(store: Store) -> None:
    claim = await begun(store, "t1", message())
    await store.sessions.delete(message().conversation)
    assert await store.claims.claim(message().conversation) is None
    with pytest.raises(NotFound):
        await store.claims.settle(claim, "done", steps=[said("t1", "late")], reply=reply("t1"))
    assert await store.inbox.turn("default", "t1") is None
    assert list(await store.journal.steps("t1")) == []
    assert await store.sessions.list("default") == []


async def test_more_conversations_than_are_remembered_are_taken_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "KNOWN_CONVERSATIONS", 2)
    for number in range(12):
        accepted = await store.inbox.ingest(f"t{number}", message(chat_id=f"c{number % 5}"))
        assert not accepted.duplicate
    chats = [message(chat_id=f"c{number}").conversation for number in range(5)]
    assert len(await unfinished(store, *chats)) == 12
    assert sorted(item.turns for item in await store.sessions.list("default")) == [2, 2, 2, 3, 3]
