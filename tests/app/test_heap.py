"""The heap of a serving daemon: what its model's library brings is kept out of the collector's sight too."""

import gc
from collections.abc import Generator

import pytest

from databot.app.gateway import freeze_when_warm
from databot.testing.scripted import ScriptedProvider


class Heavy(ScriptedProvider):
    """A provider whose library, once imported, is a thousand objects."""

    def warm(self) -> None:
        self.library = [[number] for number in range(1_000)]


@pytest.fixture
def thawed() -> Generator[None]:
    yield
    gc.unfreeze()


async def test_what_warming_a_model_brings_is_frozen_when_it_is_there(thawed: None) -> None:
    provider = Heavy()
    gc.freeze()
    before = gc.get_freeze_count()
    await freeze_when_warm(provider)
    assert gc.get_freeze_count() >= before + 1_000
