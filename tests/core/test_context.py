"""What a prompt is made of, and what is left out of it."""

import asyncio

import pytest

from databot.agents.base import AgentTurn
from databot.core.context import ContextBuilder, Persona
from databot.memory.base import ConversationMemory
from databot.rag.base import Enrichment, PromptEnricher
from databot.testing.clock import START, FakeClock
from databot.types.chat import ChatMessage
from databot.types.errors import ConfigError, StorageUnavailable, TooLarge
from databot.types.evidence import Citation
from databot.types.messages import Turn
from tests.core.house import said

PASSAGE = Citation(marker="[1]", title="Terms", source="t.md", quote="net of tax", score=0.9)


def turn_of(text: str) -> AgentTurn:
    return AgentTurn(turn=Turn(id="turn_1", message=said(text), started_at=START))


def builder(
    budget: int,
    *,
    memory: ConversationMemory | None = None,
    enricher: PromptEnricher | None = None,
) -> ContextBuilder:
    return ContextBuilder(FakeClock(), budget_tokens=budget, memory=memory, enricher=enricher)


class Finds:
    """Retrieval that finds so much."""

    def __init__(self, characters: int) -> None:
        self.enrichment = Enrichment(text="p" * characters, citations=(PASSAGE,), notes=("old",))

    async def enrich_prompt(self, turn: Turn) -> Enrichment:
        del turn
        return self.enrichment


class Broken:
    """A memory that fails once retrieval has begun."""

    def __init__(self, begun: asyncio.Event) -> None:
        self.begun = begun

    async def recall(self, turn: Turn) -> list[ChatMessage]:
        del turn
        await self.begun.wait()
        raise StorageUnavailable("no disk")


class Endless:
    """Retrieval that only ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def enrich_prompt(self, turn: Turn) -> Enrichment:
        del turn
        self.begun.set()
        try:
            await asyncio.Event().wait()
            return Enrichment()
        finally:
            self.ended.set()


async def test_a_memory_that_fails_ends_retrieval_and_tells_its_own_error() -> None:
    retrieval = Endless()
    context = builder(8_000, memory=Broken(retrieval.begun), enricher=retrieval)
    with pytest.raises(StorageUnavailable, match="no disk"):
        async with asyncio.timeout(10):
            await context.open(Persona(), turn_of("x"))
    assert retrieval.ended.is_set()


async def test_passages_that_do_not_fit_are_left_out_and_told() -> None:
    prompt = await builder(4_000, enricher=Finds(9_000)).open(Persona(), turn_of("x"))
    assert prompt.enrichment.citations == (PASSAGE,)
    prompt = await builder(4_000, enricher=Finds(9_000)).open(Persona(), turn_of("x"), 1_000)
    assert prompt.enrichment.citations == ()
    assert "p" * 100 not in prompt.system.content
    assert [note[:25] for note in prompt.enrichment.notes] == ["old", "answered without retrieva"]


async def test_instructions_that_leave_no_room_are_the_settings_fault_not_the_persons() -> None:
    persona = Persona(bot_prompt="be nice " * 2_000)
    with pytest.raises(ConfigError, match="instructions and tools take 4,") as caught:
        await builder(4_000).open(persona, turn_of("x"))
    assert "agent.context_tokens" in caught.value.hint


async def test_the_longest_message_is_told_by_what_tools_and_instructions_leave() -> None:
    with pytest.raises(TooLarge) as caught:
        await builder(4_000).open(Persona(), turn_of("x" * 11_000), 1_000)
    assert "8," in caught.value.hint
    await builder(4_000).open(Persona(), turn_of("x" * 8_000), 1_000)
