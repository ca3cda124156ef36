"""Fixtures of the tests of tools."""

from pathlib import Path

import pytest

from tests.tools.kit import Bench, SqliteSource, make_shop


@pytest.fixture
def shop(tmp_path: Path) -> SqliteSource:
    return SqliteSource("shop", make_shop(tmp_path / "shop.db"))


@pytest.fixture
def bench(shop: SqliteSource) -> Bench:
    return Bench([shop])
