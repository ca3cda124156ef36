"""A start that is killed in the middle of bringing the tables up to date: the next one finishes it."""

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing

import asyncpg
import pytest

from databot.storage.migrate import HEAD, script_between
from databot.storage.sqlite.migrating import statements
from databot.storage.tables import metadata
from tests.storage.parts import Place, finish, message
from tests.storage.places import place_in

# A statement later than the last one: all is done and not committed.
ALL = 1_000
IN_SQLITE = """
import asyncio, os, signal, sys
from databot.storage.open import open_database
from databot.storage.sqlite import migrating
url, point = sys.argv[1], int(sys.argv[2])
real = migrating.statements

def dying(script):
    for number, statement in enumerate(real(script)):
        if number == point:
            os.kill(os.getpid(), signal.SIGKILL)
        yield statement
    os.kill(os.getpid(), signal.SIGKILL)

migrating.statements = dying
asyncio.run(open_database(url, exclusive=True))
"""
IN_POSTGRES = """
import asyncio, sys
from databot.storage.open import open_database
from databot.storage.postgres import migrating
url, point = sys.argv[1], int(sys.argv[2])
real = migrating.script_between

def slow(*arguments):
    parts = real(*arguments).split(";\\n")
    parts.insert(min(point, len(parts) - 1), "SELECT pg_sleep(2)")
    return ";\\n".join(parts)

migrating.script_between = slow
asyncio.run(open_database(url, exclusive=True))
"""
SLEEPING = """SELECT count(*) FROM pg_stat_activity
              WHERE application_name = 'databot' AND wait_event = 'PgSleep'"""
VERSION = "SELECT version_num FROM alembic_version"
OLD = """INSERT INTO conversation (tenant_id, bot_id, session_id, channel, title, created_at, updated_at)
         VALUES ('default', 'default', 'old', 'http', 'old', 1, 1)"""


async def works(place: Place, start: str | None) -> None:
    """The next start finishes what was begun, with all that was there before."""
    for _ in range(2):
        async with place.open() as store:
            await finish(store, place.ids.new("turn"), message(), "a")
            sessions = await store.sessions.list("default")
            named = {each.conversation.session_id for each in sessions}
            assert named == {"chat"} | ({"old"} if start else set())


@pytest.mark.parametrize("start", [None, "0001"])
@pytest.mark.parametrize("point", [0, 1, 5, ALL])
async def test_a_migration_of_a_file_killed_at_any_point_is_finished_by_the_next_start(
    request: pytest.FixtureRequest, start: str | None, point: int
) -> None:
    async with place_in("sqlite", request) as place:
        path = place.data_dir / "databot.db"
        if start:
            with closing(sqlite3.connect(path)) as db, db:
                for statement in statements(script_between(None, start, "sqlite")):
                    db.execute(statement)
                db.execute(OLD)
        arguments = ["-c", IN_SQLITE, place.url, str(point)]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
        async with asyncio.timeout(60):
            assert await process.wait() == -signal.SIGKILL
        await works(place, start)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute(VERSION).fetchall() == [(HEAD,)]
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.service
@pytest.mark.parametrize("start", [None, "0001"])
@pytest.mark.parametrize("point", [0, 1, 5, ALL])
async def test_a_migration_of_a_server_killed_at_any_point_is_finished_by_the_next_start(
    request: pytest.FixtureRequest, postgres_url: str, start: str | None, point: int
) -> None:
    """The server only notices when its statement ends; the next start waits for it."""
    async with place_in("postgres", request) as place:
        schema = place.url.rpartition("=")[2]
        admin = await asyncpg.connect(postgres_url, server_settings={"search_path": schema})
        if start:
            await admin.execute(script_between(None, start, "postgresql"))
            await admin.execute(OLD)
        arguments = ["-c", IN_POSTGRES, place.url, str(point)]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
        async with asyncio.timeout(60):
            while not await admin.fetchval(SLEEPING):
                assert process.returncode is None
            process.kill()
            assert await process.wait() == -signal.SIGKILL
            await works(place, start)
        assert await admin.fetchval(VERSION) == HEAD
        tables = await admin.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        )
        assert {row["tablename"] for row in tables} == {*metadata.tables, "alembic_version"}
        await admin.close()
