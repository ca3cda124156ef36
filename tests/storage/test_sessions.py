from datetime import timedelta
from pathlib import Path

from databot.storage.open import Store
from databot.testing.clock import START
from databot.types.chat import Usage
from databot.types.evidence import Evidence
from databot.types.messages import Attachment, InboundMessage, OutboundMessage, Principal
from tests.storage.parts import Place, asked, begun, finish, message, reply, said

CHAT = message().conversation


async def test_conversations_are_listed_last_used_first_page_by_page(place: Place) -> None:
    async with place.open() as store:
        for number in (1, 2, 3, 1):
            place.clock.advance(10)
            turn_id = f"t{place.clock.monotonic()}"
            await finish(store, turn_id, message(chat_id=f"c{number}"), "a")
        await finish(store, "elsewhere", message(tenant_id="acme"), "not of this tenant")
        listed = await store.sessions.list("default")
        assert [item.conversation.session_id for item in listed] == ["c1", "c3", "c2"]
        assert [item.turns for item in listed] == [2, 1, 1]
        assert listed[0].created_at == START + timedelta(seconds=10)
        assert listed[0].updated_at == START + timedelta(seconds=40)
        first = await store.sessions.list("default", limit=1)
        rest = await store.sessions.list("default", before=first[-1].updated_at)
        assert [item.conversation.session_id for item in (*first, *rest)] == ["c1", "c3", "c2"]
        assert await store.sessions.list("default", limit=0) == []


async def test_the_title_is_the_beginning_of_the_first_message_on_one_line(store: Store) -> None:
    await finish(store, "t1", message("  How many\norders\0?  " + "x" * 200), "a")
    await finish(store, "t2", message("second"), "b")
    (summary,) = await store.sessions.list("default")
    assert summary.title.startswith("How many orders? xxx")
    assert len(summary.title) == 80
    assert summary.channel == "http"


async def test_a_session_is_found_by_name_at_the_bot_that_used_it_last(place: Place) -> None:
    async with place.open() as store:
        for bot in ("b", "a", "c"):
            place.clock.advance(1)
            await store.inbox.ingest(f"t-{bot}", message(bot_id=bot))
        found = await store.sessions.find("default", "chat")
        assert found is not None
        assert found.bot_id == "c"


async def test_what_supports_a_reply_reads_back_with_the_message_that_says_it(store: Store) -> None:
    evidence = Evidence(
        connector="demo", statement="SELECT 1", rows=1, truncated=False, elapsed_ms=1.0, as_of="now"
    )
    answer = OutboundMessage(
        channel="http",
        chat_id="chat",
        content="42",
        turn_id="t1",
        session_id="chat",
        agent="sql",
        evidence=(evidence,),
        usage=Usage(input_tokens=7),
    )
    claim = await begun(store, "t1", message())
    await store.claims.settle(claim, "done", steps=[said("t1", "42")], reply=answer)
    question, said_ = await store.sessions.messages(CHAT)
    assert question.extra["state"] == "done"
    assert said_.content == "42"
    assert said_.extra["agent"] == "sql"
    assert said_.extra["evidence"][0]["statement"] == "SELECT 1"
    assert said_.extra["usage"]["input_tokens"] == 7


async def test_a_cancelled_turn_reads_back_with_its_partial_answer(store: Store) -> None:
    claim = await begun(store, "t1", message())
    await store.journal.append(claim, asked("t1", "c1"))
    await store.claims.settle(claim, "cancelled", reply=reply("t1", "so far"))
    log = await store.sessions.messages(CHAT)
    assert [(item.role, item.content) for item in log] == [
        ("user", "How many orders?"),
        ("assistant", ""),
        ("assistant", "so far"),
    ]
    assert log[1].extra["tool_calls"][0]["id"] == "c1"


async def test_a_failed_turn_reads_back_with_its_error(store: Store) -> None:
    error = {"type": "model_timeout", "message": "no answer"}
    claim = await begun(store, "t1", message())
    await store.claims.settle(claim, "failed", error=error)
    (question,) = await store.sessions.messages(CHAT)
    assert question.extra["error"] == error
    assert question.extra["state"] == "failed"


async def test_attachments_are_named_in_the_transcript_without_their_bytes(store: Store) -> None:
    question = InboundMessage(
        channel="http",
        chat_id="chat",
        sender_id="ada",
        content="see",
        principal=Principal(id="ada"),
        attachments=(Attachment(name="a.csv", media_type="text/csv", data=b"1,2"),),
    )
    await store.inbox.ingest("t1", question)
    (said_,) = await store.sessions.messages(CHAT)
    assert said_.extra["attachments"] == [{"name": "a.csv", "media_type": "text/csv", "size": 3}]


async def test_deleting_a_session_deletes_its_files_and_leaves_the_others(place: Place) -> None:
    def files() -> list[Path]:
        return [path for path in (place.data_dir / "artifacts").rglob("*") if path.is_file()]

    async with place.open() as store:
        await finish(store, "t1", message(), "a")
        await store.artifacts.save(CHAT, "a.csv", "text/csv", b"1")
        kept = await store.artifacts.save(message(chat_id="o").conversation, "b", "x/y", b"2")
        assert len(files()) == 2
        assert await store.sessions.delete(CHAT)
        assert [path.name for path in files()] == [kept.id]


async def test_a_deleted_session_can_begin_anew(store: Store) -> None:
    await finish(store, "t1", message("old", message_id="m1"), "a")
    await store.sessions.delete(CHAT)
    accepted = await store.inbox.ingest("t2", message("new", message_id="m1"))
    assert (accepted.turn_id, accepted.duplicate) == ("t2", False)
    assert list(await store.journal.history(CHAT, 10)) == []
