"""Fixtures of the tests of tools."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.tools.kit import Bench, SqliteSource, make_shop

# A machine that is busy is no failure, and a test run leaves nothing behind.
settings.register_profile("databot", deadline=None, database=None)
settings.load_profile("databot")


@pytest.fixture
def shop(tmp_path: Path) -> SqliteSource:
    return SqliteSource("shop", make_shop(tmp_path / "shop.db"))


@pytest.fixture
def bench(shop: SqliteSource) -> Bench:
    return Bench([shop])
