"""Fixtures: a place and an open store in each database."""

from collections.abc import AsyncIterator

import pytest

from databot.storage.open import Store
from tests.storage.parts import Place
from tests.storage.places import DATABASES, place_in


@pytest.fixture(params=DATABASES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with place_in(request.param, request) as found:
        yield found


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    async with place.open() as opened:
        yield opened
