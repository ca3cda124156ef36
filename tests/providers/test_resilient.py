"""Passing failures are borne within bounds; everything else fails at once."""

import asyncio
from collections.abc import Sequence

import pytest

from databot.providers.resilient import Candidate, FallbackProvider, Patience
from databot.providers.streams import ChunkStream, fold
from databot.testing.clock import FakeClock
from databot.testing.scripted import Answer, ScriptedProvider
from databot.types.chat import ChatChunk, ChatMessage, ChatRequest, TextChunk
from databot.types.errors import (
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
)

QUESTION = ChatRequest(model="any", messages=(ChatMessage(role="user", content="Hello?"),))
DOWN = ProviderUnavailable("down")


class House:
    """Models with scripts behind one fallback provider, on a clock that hurries."""

    def __init__(self, *scripts: Sequence[Answer], **patience: float) -> None:
        self.clock = FakeClock(hurried=True)
        self.models = [ScriptedProvider(script, name=f"m{n}") for n, script in enumerate(scripts)]
        self.provider = FallbackProvider(
            [Candidate(model, f"wire-{model.name}") for model in self.models],
            clock=self.clock,
            patience=Patience(**patience),  # pyright: ignore[reportArgumentType] - attempts is a whole number
        )

    def asked(self) -> list[int]:
        return [len(model.requests) for model in self.models]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_passing_failure_is_tried_again_with_growing_waits(streamed: bool) -> None:
    house = House([DOWN, ProviderTimeout("slow"), "answer"])
    if streamed:
        chunks = [chunk async for chunk in house.provider.chat_stream(QUESTION)]
        assert chunks[0] == TextChunk("answer")
    else:
        assert (await house.provider.chat(QUESTION)).text == "answer"
    assert house.clock.slept == [0.5, 1.0]
    assert house.models[0].requests[0].model == "wire-m0"


async def test_after_its_chances_the_next_model_is_asked() -> None:
    house = House([DOWN] * 3, ["from the second"])
    assert (await house.provider.chat(QUESTION)).text == "from the second"
    assert house.asked() == [3, 1]


async def test_when_all_fail_the_last_failure_is_told() -> None:
    house = House([DOWN] * 3, [ProviderRateLimited("too fast")] * 3)
    with pytest.raises(ProviderRateLimited):
        await house.provider.chat(QUESTION)


async def test_a_wrong_key_is_neither_tried_again_nor_somewhere_else() -> None:
    house = House([ProviderAuthFailed("no")], ["never"])
    with pytest.raises(ProviderAuthFailed):
        await house.provider.chat(QUESTION)
    assert house.asked() == [1, 0]
    assert house.clock.slept == []


async def test_nothing_is_tried_again_once_text_was_streamed() -> None:
    house = House([[TextChunk("Hel"), DOWN], "again"], ["other"])
    seen: list[ChatChunk] = []

    async def read() -> None:
        async for chunk in house.provider.chat_stream(QUESTION):
            seen.append(chunk)  # noqa: PERF401 - what was seen before the failure counts

    with pytest.raises(ProviderUnavailable):
        await read()
    assert seen == [TextChunk("Hel")]
    assert house.asked() == [1, 0]


async def test_the_vendors_wish_to_wait_is_honoured_within_bounds() -> None:
    house = House([ProviderRateLimited("x", retry_after_s=7), "answer"])
    assert (await house.provider.chat(QUESTION)).text == "answer"
    assert house.clock.slept == [7]
    impatient = House([ProviderRateLimited("x", retry_after_s=3600), "never"], ["other"])
    assert (await impatient.provider.chat(QUESTION)).text == "other"
    assert impatient.clock.slept == []


async def test_no_wait_begins_that_would_pass_the_deadline() -> None:
    wish = ProviderRateLimited("x", retry_after_s=15)
    house = House([wish] * 9, attempts=9, deadline_s=40)
    with pytest.raises(ProviderRateLimited):
        await house.provider.chat(QUESTION)
    assert house.clock.slept == [15, 15]


async def fail(house: House, times: int, expected: type[ProviderError] = ProviderError) -> None:
    for _ in range(times):
        with pytest.raises(expected):
            await house.provider.chat(QUESTION)


async def test_a_model_that_keeps_failing_is_passed_over_for_a_minute() -> None:
    house = House([*[DOWN] * 3, "back"], ["one", "two", "three", "four"], attempts=1)
    for _ in range(4):
        await house.provider.chat(QUESTION)
    assert house.asked() == [3, 4]
    house.clock.advance(61)
    assert (await house.provider.chat(QUESTION)).text == "back"


async def test_the_only_model_is_asked_again_at_once_and_an_answer_ends_the_matter() -> None:
    house = House([*[DOWN] * 3, "back", "well"], attempts=1)
    await fail(house, 3)
    assert (await house.provider.chat(QUESTION)).text == "back"
    assert (await house.provider.chat(QUESTION)).text == "well"


async def test_while_one_call_probes_a_failing_model_others_are_told_to_wait() -> None:
    gate, reached = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        if len(model.requests) > 3:
            reached.set()
            await gate.wait()

    model = ScriptedProvider([DOWN, DOWN, DOWN, "back"], pause=pause)
    provider = FallbackProvider(
        [Candidate(model, "m")], clock=FakeClock(hurried=True), patience=Patience(attempts=1)
    )
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await provider.chat(QUESTION)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        probe = group.create_task(provider.chat(QUESTION))
        await reached.wait()
        with pytest.raises(ProviderUnavailable, match="tried by another call") as caught:
            await provider.chat(QUESTION)
        gate.set()
    assert probe.result().text == "back"
    assert caught.value.retry_after_s


async def test_leaving_the_stream_leaves_the_model() -> None:
    house = House(["one two three"])
    stream = house.provider.chat_stream(QUESTION)
    await anext(stream)
    assert house.models[0].active == 1
    await stream.aclose()
    assert (house.models[0].active, house.models[0].closed) == (0, 1)


async def test_every_model_is_warmed_and_closed() -> None:
    done: list[str] = []

    class Model(ScriptedProvider):
        def warm(self) -> None:
            done.append(f"{self.name} warmed")

        async def aclose(self) -> None:
            done.append(f"{self.name} closed")

    models = [Candidate(Model(name=name), name) for name in ("a", "b")]
    async with FallbackProvider(models, clock=FakeClock()) as provider:
        provider.warm()
    assert done == ["a warmed", "b warmed", "a closed", "b closed"]


async def test_a_model_whose_stream_just_ends_has_not_answered() -> None:
    class Mute(ScriptedProvider):
        async def chat_stream(self, request: ChatRequest) -> ChunkStream:
            yield TextChunk("half of")

    with pytest.raises(ProviderBadResponse, match="without an answer"):
        await Mute().chat(QUESTION)
    with pytest.raises(ProviderBadResponse, match="without an answer"):
        await fold("mute", Mute().chat_stream(QUESTION))
