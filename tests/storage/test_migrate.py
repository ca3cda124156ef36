import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from databot.storage.database import Query
from databot.storage.migrate import HEAD, pending, script_between
from databot.storage.open import open_database
from databot.storage.tables import metadata
from databot.types.errors import ConfigError
from tests.storage.parts import Place, message, unfinished

NEWER = Query(sql="UPDATE alembic_version SET version_num = '9999'", names=())


def test_the_version_the_code_needs_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "databot.storage:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_the_migrations_lead_to_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/a.db", exclusive=True)
    await database.aclose()
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_migration_is_plain_sql_without_a_transaction_of_its_own(dialect: str) -> None:
    script = script_between(None, HEAD, dialect)
    assert "CREATE TABLE conversation" in script
    assert "BEGIN" not in script
    assert "COMMIT" not in script
    assert script_between(HEAD, HEAD, dialect).strip() == ""


def test_an_older_database_is_upgraded_and_a_newer_one_refused() -> None:
    assert pending(None, "x")
    assert pending("0000", "x")
    assert not pending(HEAD, "x")
    with pytest.raises(ConfigError, match="newer databot"):
        pending("9999", "x")


async def test_a_database_made_by_a_newer_databot_is_refused_untouched(place: Place) -> None:
    database = await open_database(place.url, exclusive=True)
    await database.write(((NEWER, {}),))
    await database.aclose()
    for _ in range(2):
        with pytest.raises(ConfigError, match="newer databot") as caught:
            async with place.open():
                pass
        assert "upgrade databot" in caught.value.hint


async def test_several_that_open_an_empty_database_at_once_all_succeed(place: Place) -> None:
    async def use(number: int) -> None:
        async with place.open(exclusive=False) as store:
            await store.inbox.ingest(f"t{number}", message())

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(use(number))
    async with place.open() as store:
        assert len(await unfinished(store)) == 4


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE journal (not_ours)")
        other.commit()
    with pytest.raises(ConfigError):
        await open_database(f"sqlite:///{path}", exclusive=True)
    with closing(sqlite3.connect(path)) as other:
        tables = other.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("journal",)]
