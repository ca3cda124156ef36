"""What tests of the store are made of: messages, and a place a store can be opened at again and again."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from databot.storage.base import Claim, Step, TurnRecord
from databot.storage.open import Store, open_store
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.chat import ChatMessage, ToolCall
from databot.types.messages import ConversationKey, InboundMessage, OutboundMessage, Principal


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database and a folder, by themselves closed."""

    url: str
    data_dir: Path
    clock: FakeClock = field(default_factory=FakeClock)
    ids: SequentialIds = field(default_factory=SequentialIds)

    def open(self, *, exclusive: bool = True) -> AbstractAsyncContextManager[Store]:
        return open_store(self.url, self.data_dir, self.clock, self.ids, exclusive=exclusive)


def message(
    content: str = "How many orders?",
    *,
    chat_id: str = "chat",
    message_id: str | None = None,
    tenant_id: str = "default",
    bot_id: str = "default",
    channel: str = "http",
) -> InboundMessage:
    return InboundMessage(
        channel=channel,
        chat_id=chat_id,
        sender_id="ada",
        content=content,
        principal=Principal(id="ada", tenant_id=tenant_id, roles=frozenset({"api", "owner"})),
        message_id=message_id,
        tenant_id=tenant_id,
        bot_id=bot_id,
    )


def said(turn_id: str, text: str, step: int = 0) -> Step:
    return Step(turn_id=turn_id, step=step, messages=(ChatMessage(role="assistant", content=text),))


def asked(turn_id: str, *calls: str, step: int = 0) -> Step:
    """A step in which the model wants tools run."""
    wanted = tuple(ToolCall(id=call, name="sql", arguments='{"sql": "SELECT 1"}') for call in calls)
    answer = ChatMessage(role="assistant", content="", tool_calls=wanted)
    return Step(turn_id=turn_id, step=step, messages=(answer,))


def found(turn_id: str, *calls: str, step: int = 1) -> Step:
    """A step with the results of tools."""
    results = tuple(
        ChatMessage(role="tool", content=f"result of {call}", tool_call_id=call, name="sql")
        for call in calls
    )
    return Step(turn_id=turn_id, step=step, messages=results)


def reply(turn_id: str, text: str = "42", session_id: str = "chat") -> OutboundMessage:
    return OutboundMessage(
        channel="http", chat_id=session_id, content=text, turn_id=turn_id, session_id=session_id
    )


async def begun(store: Store, turn_id: str, question: InboundMessage) -> Claim:
    """A message accepted, and its turn begun: it must be the earliest open one of its conversation."""
    await store.inbox.ingest(turn_id, question)
    return await claimed(store, turn_id, question)


async def claimed(store: Store, turn_id: str, question: InboundMessage) -> Claim:
    """The claim on a turn accepted before, which must be the next one of its conversation."""
    claim = await store.claims.claim(question.conversation)
    assert claim is not None
    assert claim.turn_id == turn_id
    return claim


async def finish(store: Store, turn_id: str, question: InboundMessage, text: str) -> None:
    """One whole turn."""
    claim = await begun(store, turn_id, question)
    await store.claims.settle(
        claim, "done", steps=[said(turn_id, text)], reply=reply(turn_id, text)
    )


async def unfinished(store: Store, *conversations: ConversationKey) -> list[TurnRecord]:
    """The turns without an end, oldest first; of the usual conversation unless others are named."""
    keys = conversations or (message().conversation,)
    ids = [(key.tenant_id, turn) for key in keys for turn in await store.inbox.open_turns(key)]
    records = [await store.inbox.turn(tenant, turn) for tenant, turn in ids]
    return [record for record in records if record is not None]
