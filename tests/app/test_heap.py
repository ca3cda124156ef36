"""The heap of a serving daemon: what its model's library brings is kept out of the collector's sight too."""

import gc
from collections.abc import Generator

import pytest

from databot.app.gateway import calm_collector, freeze_when_warm
from databot.testing.scripted import ScriptedProvider


class Heavy(ScriptedProvider):
    """A provider whose library, once imported, is a thousand objects."""

    def warm(self) -> None:
        self.library = [[number] for number in range(1_000)]


@pytest.fixture
def thawed() -> Generator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_a_start_made_is_frozen_and_passes_become_rare(thawed: None) -> None:
    kept = [[number] for number in range(1_000)]
    passes = gc.get_stats()[0]["collections"]
    calm_collector()
    assert gc.get_freeze_count() >= len(kept)
    seen = gc.get_stats()[0]["collections"]
    kept += [[number] for number in range(9_000)]
    assert seen - passes <= 1  # its own
    assert gc.get_stats()[0]["collections"] - seen <= 1


async def test_what_warming_a_model_brings_is_frozen_when_it_is_there(thawed: None) -> None:
    provider = Heavy()
    gc.freeze()
    before = gc.get_freeze_count()
    await freeze_when_warm(provider)
    assert gc.get_freeze_count() >= before + 1_000
