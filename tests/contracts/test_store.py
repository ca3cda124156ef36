"""What every store promises: the real ones on both databases, and the fakes that stand in for them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from databot.storage.base import TurnState
from databot.storage.open import Store
from databot.types.chat import ChatMessage
from databot.types.messages import ConversationKey
from tests.storage.parts import asked, begun, claimed, finish, found, message, reply, said
from tests.storage.places import IMPLEMENTATIONS, store_in

CHAT = message().conversation


@pytest.fixture(params=IMPLEMENTATIONS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    async with store_in(request.param, request) as opened:
        yield opened


def texts(messages: object) -> list[tuple[str, str]]:
    assert isinstance(messages, list)
    return [(item.role, item.content) for item in messages]


async def test_a_message_is_accepted_as_a_queued_turn_and_read_back_whole(store: Store) -> None:
    question = message("Wie viele Aufträge? 🙂 ' \" \\ ; -- ")
    accepted = await store.inbox.ingest("t1", question)
    record = await store.inbox.turn("default", "t1")
    assert (accepted.turn_id, accepted.duplicate) == ("t1", False)
    assert record is not None
    assert record.message == question
    assert (record.state, record.seq, record.reply, record.error) == (
        "queued",
        accepted.seq,
        None,
        None,
    )
    assert record.conversation == question.conversation


async def test_a_redelivered_message_is_the_first_turn_again(store: Store) -> None:
    first = await store.inbox.ingest("t1", message(message_id="m1"))
    again = await store.inbox.ingest("t2", message("edited", message_id="m1"))
    assert (again.turn_id, again.seq, again.duplicate) == ("t1", first.seq, True)
    assert await store.inbox.turn("default", "t2") is None


async def test_a_message_id_counts_only_within_its_tenant_and_channel(store: Store) -> None:
    await store.inbox.ingest("t1", message(message_id="m1"))
    other_tenant = await store.inbox.ingest("t2", message(message_id="m1", tenant_id="acme"))
    other_channel = await store.inbox.ingest("t3", message(message_id="m1", channel="slack"))
    assert not other_tenant.duplicate
    assert not other_channel.duplicate


async def test_messages_without_an_id_are_never_duplicates(store: Store) -> None:
    first = await store.inbox.ingest("t1", message())
    second = await store.inbox.ingest("t2", message())
    assert not second.duplicate
    assert second.seq > first.seq


async def test_concurrent_messages_get_distinct_increasing_numbers(store: Store) -> None:
    async def ingest(number: int) -> tuple[int, int, bool]:
        chat = number % 20
        question = message(chat_id=f"chat{chat}", message_id=f"m{number}")
        accepted = await store.inbox.ingest(f"t{number}", question)
        again = await store.inbox.ingest(f"again{number}", question)
        assert (again.turn_id, again.seq) == (accepted.turn_id, accepted.seq)
        return chat, accepted.seq, again.duplicate

    async with asyncio.timeout(60):
        results = await asyncio.gather(*(ingest(number) for number in range(200)))
    numbers = [[seq for chat, seq, _ in results if chat == wanted] for wanted in range(20)]
    assert all(len(set(of_chat)) == 10 for of_chat in numbers)
    assert all(duplicate for _, _, duplicate in results)


async def test_the_same_message_delivered_many_times_at_once_is_one_turn(store: Store) -> None:
    async with asyncio.timeout(60):
        accepted = await asyncio.gather(
            *(store.inbox.ingest(f"t{n}", message(message_id="m1")) for n in range(30))
        )
    assert len({item.turn_id for item in accepted}) == 1
    assert sum(not item.duplicate for item in accepted) == 1
    (summary,) = await store.sessions.list("default")
    assert summary.turns == 1


async def test_a_turn_that_has_begun_is_running(store: Store) -> None:
    await begun(store, "t1", message())
    record = await store.inbox.turn("default", "t1")
    assert record is not None
    assert record.state == "running"


async def test_a_settled_turn_has_its_reply_and_steps(store: Store) -> None:
    claim = await begun(store, "t1", message())
    steps = [asked("t1", "c1"), found("t1", "c1"), said("t1", "42", step=2)]
    await store.claims.settle(claim, "done", steps=steps, reply=reply("t1"))
    record = await store.inbox.turn("default", "t1")
    assert record is not None
    assert (record.state, record.reply) == ("done", reply("t1"))
    assert list(await store.journal.steps("t1")) == steps


async def test_a_failed_turn_keeps_its_error(store: Store) -> None:
    claim = await begun(store, "t1", message())
    error = {"type": "model_timeout", "message": "the model did not answer"}
    await store.claims.settle(claim, "failed", error=error)
    record = await store.inbox.turn("default", "t1")
    assert record is not None
    assert (record.state, record.error) == ("failed", error)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "dead"])
async def test_the_first_end_of_a_turn_stands(store: Store, state: TurnState) -> None:
    claim = await begun(store, "t1", message())
    await store.claims.settle(claim, state, reply=reply("t1", "first"))
    await store.claims.settle(claim, "done", steps=[said("t1", "late")], reply=reply("t1", "late"))
    assert await store.claims.claim(CHAT) is None
    record = await store.inbox.turn("default", "t1")
    assert record is not None
    assert (record.state, record.reply) == (state, reply("t1", "first"))
    assert await store.journal.steps("t1") == []


async def test_turns_without_an_end_are_counted_by_tenant(store: Store) -> None:
    assert await store.inbox.open_by_tenant() == {}
    claim = await begun(store, "t1", message(chat_id="a"))
    await store.inbox.ingest("t2", message(chat_id="a"))
    await store.inbox.ingest("t3", message(chat_id="b"))
    await store.inbox.ingest("t4", message(chat_id="b", tenant_id="acme"))
    assert await store.inbox.open_by_tenant() == {"default": 3, "acme": 1}
    await store.claims.settle(claim, "done", reply=reply("t1"))
    await claimed(store, "t2", message(chat_id="a"))
    assert await store.inbox.open_by_tenant() == {"default": 2, "acme": 1}
    await store.inbox.stop("acme", "t4", {"type": "x", "message": "x"})
    assert await store.inbox.open_by_tenant() == {"default": 2}


async def test_the_open_turns_of_a_conversation_are_its_own_oldest_first(store: Store) -> None:
    for number in range(1, 4):
        await store.inbox.ingest(f"t{number}", message())
    await store.inbox.ingest("elsewhere", message(chat_id="elsewhere"))
    await store.inbox.ingest("foreign", message(tenant_id="foreign"))
    claim = await claimed(store, "t1", message())
    await store.claims.settle(claim, "failed", error={"type": "x", "message": "x"})
    await claimed(store, "t2", message())
    assert await store.inbox.open_turns(message().conversation) == ["t2", "t3"]
    assert not await store.inbox.open_turns(message(chat_id="unheard of").conversation)


async def test_the_same_step_again_is_ignored(store: Store) -> None:
    claim = await begun(store, "t1", message())
    await store.journal.append(claim, said("t1", "first"))
    await store.journal.append(claim, said("t1", "second"))
    assert list(await store.journal.steps("t1")) == [said("t1", "first")]


async def test_steps_come_in_their_order_whatever_the_order_of_writing(store: Store) -> None:
    claim = await begun(store, "t1", message())
    await store.journal.append(claim, said("t1", "two", step=2))
    await store.journal.append(claim, asked("t1", "c", step=0))
    await store.claims.settle(claim, "done", steps=[found("t1", "c", step=1)])
    assert [step.step for step in await store.journal.steps("t1")] == [0, 1, 2]


async def test_history_is_the_last_finished_turns_oldest_first(store: Store) -> None:
    for number in range(4):
        await finish(store, f"t{number}", message(f"q{number}"), f"a{number}")
    await store.inbox.ingest("open", message("still waiting"))
    history = await store.journal.history(CHAT, 2)
    assert texts(history) == [
        ("user", "q2"),
        ("assistant", "a2"),
        ("user", "q3"),
        ("assistant", "a3"),
    ]
    assert len(await store.journal.history(CHAT, 100)) == 8
    assert list(await store.journal.history(CHAT, 0)) == []


async def test_history_keeps_tool_calls_and_their_results(store: Store) -> None:
    claim = await begun(store, "t1", message())
    steps = [asked("t1", "c1", "c2"), found("t1", "c1", "c2"), said("t1", "42", step=2)]
    await store.claims.settle(claim, "done", steps=steps)
    history = await store.journal.history(CHAT, 10)
    assert list(history[1:]) == [item for step in steps for item in step.messages]


async def test_history_of_a_cancelled_turn_has_every_call_answered(store: Store) -> None:
    claim = await begun(store, "t1", message())
    await store.journal.append(claim, asked("t1", "c1", "c2"))
    await store.claims.settle(claim, "cancelled", steps=[found("t1", "c1")])
    await finish(store, "t2", message("next"), "ok")
    history = await store.journal.history(CHAT, 10)
    assert [item.role for item in history] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
        "assistant",
    ]
    assert [item.tool_call_id for item in history[2:4]] == ["c1", "c2"]


async def test_a_failed_turn_keeps_the_persons_message_in_the_history(store: Store) -> None:
    claim = await begun(store, "t1", message("lost?"))
    await store.claims.settle(claim, "failed", error={"type": "x", "message": "y"})
    assert list(await store.journal.history(CHAT, 5)) == [ChatMessage(role="user", content="lost?")]


async def test_no_tenant_sees_another_tenants_turns_sessions_or_artifacts(store: Store) -> None:
    await finish(store, "t1", message("secret"), "secret")
    ref = await store.artifacts.save(CHAT, "secret.csv", "text/csv", b"secret")
    foreign = ConversationKey(tenant_id="acme", bot_id="default", session_id="chat")
    assert await store.inbox.turn("acme", "t1") is None
    assert await store.sessions.list("acme") == []
    assert await store.sessions.find("acme", "chat") is None
    assert await store.sessions.messages(foreign) == []
    assert list(await store.journal.history(foreign, 10)) == []
    assert await store.artifacts.load("acme", ref.id) is None
    assert await store.sessions.delete(foreign) is False
    assert await store.artifacts.delete_all(foreign) == 0
    assert await store.artifacts.load("default", ref.id) is not None
    assert await store.inbox.turn("default", "t1") is not None


async def test_bots_of_one_tenant_have_their_own_conversations(store: Store) -> None:
    await finish(store, "t1", message("to sales", bot_id="sales"), "hi")
    await finish(store, "t2", message("to ops", bot_id="ops"), "hi")
    sales = message(bot_id="sales").conversation
    assert texts(list(await store.journal.history(sales, 10)))[0] == ("user", "to sales")
    await store.sessions.delete(sales)
    assert len(await store.sessions.list("default")) == 1


async def test_a_session_reads_back_as_it_was_said(store: Store) -> None:
    claim = await begun(store, "t1", message("count"))
    steps = [asked("t1", "c1"), found("t1", "c1"), said("t1", "42", step=2)]
    await store.claims.settle(claim, "done", steps=steps, reply=reply("t1", "42"))
    log = await store.sessions.messages(CHAT)
    assert [(item.role, item.content) for item in log] == [
        ("user", "count"),
        ("assistant", ""),
        ("tool", "result of c1"),
        ("assistant", "42"),
    ]
    assert {item.turn_id for item in log} == {"t1"}


async def test_a_deleted_session_is_gone_with_its_turns_steps_and_artifacts(store: Store) -> None:
    await finish(store, "t1", message(), "42")
    await finish(store, "t2", message(chat_id="other"), "43")
    ref = await store.artifacts.save(CHAT, "a.csv", "text/csv", b"1")
    assert await store.sessions.delete(CHAT) is True
    await store.artifacts.delete_all(CHAT)
    assert await store.sessions.delete(CHAT) is False
    assert await store.inbox.turn("default", "t1") is None
    assert list(await store.journal.steps("t1")) == []
    assert list(await store.journal.history(CHAT, 10)) == []
    assert await store.artifacts.load("default", ref.id) is None
    assert await store.inbox.turn("default", "t2") is not None


async def test_an_artifact_comes_back_byte_for_byte(store: Store) -> None:
    data = bytes(range(256)) * 4
    ref = await store.artifacts.save(CHAT, "rows.bin", "application/octet-stream", data)
    artifact = await store.artifacts.load("default", ref.id)
    assert artifact is not None
    assert (artifact.ref, artifact.data, artifact.conversation) == (ref, data, CHAT)
    assert (ref.name, ref.media_type, ref.size) == ("rows.bin", "application/octet-stream", 1024)


async def test_artifacts_are_deleted_by_conversation(store: Store) -> None:
    other = message(chat_id="other").conversation
    kept = await store.artifacts.save(other, "a", "text/plain", b"1")
    for _ in range(2):
        await store.artifacts.save(CHAT, "a", "text/plain", b"1")
    assert await store.artifacts.delete_all(CHAT) == 2
    assert await store.artifacts.delete_all(CHAT) == 0
    assert await store.artifacts.load("default", kept.id) is not None


async def test_a_message_of_a_megabyte_is_kept_whole(store: Store) -> None:
    question = message("ä" * 500_000)
    await finish(store, "t1", question, "x" * 1_000_000)
    record = await store.inbox.turn("default", "t1")
    assert record is not None
    assert record.message == question
    assert [len(item.content) for item in await store.journal.history(CHAT, 1)] == [
        500_000,
        1_000_000,
    ]


async def test_a_name_nobody_has_finds_nothing(store: Store) -> None:
    for name in ("", "nobody", "a\0b", "\ud800", "x" * 10_000, "'; DROP TABLE inbox; --"):
        key = ConversationKey(tenant_id="default", bot_id="default", session_id=name)
        assert await store.inbox.turn("default", name) is None
        assert await store.inbox.turn(name, "t1") is None
        assert list(await store.journal.steps(name)) == []
        assert list(await store.journal.history(key, 5)) == []
        assert await store.sessions.list(name) == []
        assert await store.sessions.find("default", name) is None
        assert await store.sessions.messages(key) == []
        assert await store.sessions.delete(key) is False
        assert await store.artifacts.load("default", name) is None


async def test_memory_is_kept_by_tenant_and_person(store: Store) -> None:
    memory = store.memory
    await memory.put("default", "ada", "unit", "EUR")
    await memory.put("default", "ada", "unit", "USD")
    await memory.put("default", "ada", "Zone", "UTC\0 'quoted'")
    await memory.put("default", "bob", "unit", "GBP")
    await memory.put("acme", "ada", "unit", "JPY")
    assert await memory.get("default", "ada", "unit") == "USD"
    assert list((await memory.items("default", "ada")).items()) == [
        ("Zone", "UTC\0 'quoted'"),
        ("unit", "USD"),
    ]
    assert await memory.delete("default", "ada", "unit") is True
    assert await memory.delete("default", "ada", "unit") is False
    assert await memory.get("default", "ada", "unit") is None
    assert await memory.get("default", "bob", "unit") == "GBP"
    assert await memory.get("acme", "ada", "unit") == "JPY"


async def test_a_healthy_store_says_what_it_is_without_secrets(store: Store) -> None:
    said_ = await store.check()
    assert said_
    assert "databot@" not in said_


async def test_a_fact_under_a_name_no_database_can_hold_is_not_there(store: Store) -> None:
    for key in ("a\0b", "\ud800"):
        assert await store.memory.get("default", "ada", key) is None
        assert await store.memory.items("default", key) == {}
        assert await store.memory.delete("default", "ada", key) is False
