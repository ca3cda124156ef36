"""Leaving a stream early, and the version of what is running."""

from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from databot.types import version as versions
from databot.types.closing import closing


class Counting:
    """A stream that cannot be closed."""

    def __init__(self) -> None:
        self.given = 0

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        self.given += 1
        return self.given


async def test_a_generator_left_early_is_closed_before_the_next_line() -> None:
    ends: list[str] = []

    async def numbers() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            ends.append("closed")

    async with closing(numbers()) as stream:
        async for _ in stream:
            break
    assert ends == ["closed"]


async def test_a_stream_that_cannot_be_closed_is_simply_left() -> None:
    counting = Counting()
    async with closing(counting) as stream:
        async for _ in stream:
            break
    assert counting.given == 1


def test_an_uninstalled_checkout_has_a_version_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions.version()[0].isdigit()
    monkeypatch.setattr(versions, "DISTRIBUTION", "databot-not-installed")
    assert versions.version() == "0+source"
