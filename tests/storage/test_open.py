import subprocess
import sys
from pathlib import Path

import pytest

from databot.storage.migrate import HEAD
from databot.storage.open import Store, open_store
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.errors import ConfigError, StorageUnavailable
from tests.storage.parts import Place, message, unfinished

HEAVY = ("sqlalchemy", "alembic", "asyncpg", "sqlite3", "orjson")


@pytest.mark.parametrize("url", ["", "mysql://u:secret@h/x", "redis://h", "databot.db"])
async def test_a_url_of_another_kind_is_refused_with_the_two_that_work(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with open_store(url, tmp_path, FakeClock(), SequentialIds()):
            pass
    assert "sqlite+aiosqlite:///PATH" in caught.value.hint
    assert "secret" not in str(caught.value)


async def test_a_closed_store_says_so(place: Place) -> None:
    async with place.open() as store:
        pass
    with pytest.raises(StorageUnavailable):
        await store.inbox.ingest("t1", message())
    with pytest.raises(StorageUnavailable):
        await unfinished(store)


async def test_a_healthy_store_names_its_database(store: Store) -> None:
    where = await store.check()
    assert where.startswith(("SQLite /", "PostgreSQL 127.0.0.1:"))
    assert where.endswith(f", schema {HEAD}")


def test_knowing_how_to_open_a_store_loads_no_database_library() -> None:
    program = (
        "import sys; there = set(sys.modules);"  # coverage, where it measures, has brought some
        "import databot.storage.open, databot.storage.base;"
        f"print([name for name in {HEAVY} if name in sys.modules.keys() - there])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
