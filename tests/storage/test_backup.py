"""Copies of the database: of one instant, whole, and there as a whole or not at all."""

import os
import secrets
import sqlite3
import tarfile
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from databot.storage import backup_postgres
from databot.storage.backup import copy_database
from databot.storage.backup_place import new_place
from databot.storage.backup_sqlite import STEP_PAGES, copy_file
from databot.storage.open import open_store
from databot.testing.clock import FakeClock, SequentialIds
from databot.types.errors import ConfigError, StorageError, StorageUnavailable
from databot.types.messages import ConversationKey
from tests.disk import fill
from tests.storage.parts import Place, begun, message, unfinished
from tests.storage.places import postgres_schema

KEY = ConversationKey(tenant_id="default", bot_id="default", session_id="chat")


def place_at(folder: Path) -> Place:
    return Place(url=f"sqlite+aiosqlite:///{folder}/databot.db", data_dir=folder)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def filled(place: Place) -> None:
    async with place.open() as store:
        claim = await begun(store, "t1", message("first"))
        await store.claims.settle(claim, "cancelled")
        await store.inbox.ingest("t2", message("second"))
        await store.artifacts.save(KEY, "orders.csv", "text/csv", b"id\n1\n")


def make_large(path: Path, steps: int) -> None:
    """Make the copy of a database take that many steps."""
    with closing(sqlite3.connect(path)) as connection, connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute("CREATE TABLE ballast (bytes BLOB)")
        for _ in range(steps * 4):
            ballast = secrets.token_bytes(size * STEP_PAGES // 4)
            connection.execute("INSERT INTO ballast VALUES (?)", (ballast,))


@contextmanager
def busy_writer(path: Path) -> Generator[list[int]]:
    """Another connection that commits two rows at a time, without a pause; gives what it has committed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE busy (n INTEGER)")
    done: list[int] = []
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            while not stop.is_set():
                with connection:
                    connection.execute("INSERT INTO busy VALUES (?)", (len(done),))
                    connection.execute("INSERT INTO busy VALUES (?)", (len(done),))
                done.append(len(done))
                begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(30)
        yield done
    finally:
        stop.set()
        thread.join(30)


async def test_a_copy_beside_a_writer_that_never_rests_ends_and_is_of_one_instant(
    tmp_path: Path,
) -> None:
    place = place_at(tmp_path / "data")
    await filled(place)
    source, target = place.data_dir / "databot.db", tmp_path / "copy.db"
    make_large(source, steps=12)
    with busy_writer(source) as written:
        before = len(written)
        copy_file(source, target)
        after = len(written)
    assert after > before + 1  # it was not held up
    with closing(sqlite3.connect(target)) as connection:
        rows = connection.execute("SELECT n, count(*) FROM busy GROUP BY n ORDER BY n").fetchall()
    assert rows == [(n, 2) for n in range(len(rows))]
    assert before <= len(rows) <= after


async def test_what_is_copied_is_counted_at_that_instant(tmp_path: Path) -> None:
    place = place_at(tmp_path / "data")
    await filled(place)
    copy = copy_database(place.url, tmp_path)
    assert (copy.rows["conversation"], copy.rows["inbox"], copy.unfinished) == (1, 2, 1)
    assert list(copy.artifacts.values()) == [5]
    assert copy.file.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["data", "databot.db"]
    async with open_store(
        f"sqlite:///{copy.file}", tmp_path, FakeClock(), SequentialIds()
    ) as store:
        assert [turn.turn_id for turn in await unfinished(store)] == ["t2"]


async def test_a_damaged_database_gives_no_backup(tmp_path: Path) -> None:
    place = place_at(tmp_path / "data")
    await filled(place)
    source = place.data_dir / "databot.db"
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE more (t TEXT)")
        connection.execute("CREATE INDEX ix_more ON more (t)")
        connection.executemany("INSERT INTO more VALUES (?)", [(f"{n:0900}",) for n in range(400)])
    with closing(sqlite3.connect(source)) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_more'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with source.open("r+b") as file:
        file.seek((root - 1) * size + 12)
        file.write(b"\xff" * (size - 100))
    with (
        pytest.raises(StorageError, match="the copy is not whole"),
        new_place(tmp_path / "b") as at,
    ):
        copy_database(place.url, at.work)
    assert names(tmp_path) == ["data"]


def test_a_database_nobody_used_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is nothing in the database"):
        copy_database(f"sqlite:///{tmp_path}/none.db", tmp_path)
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigError, match="there is nothing in the database"):
        copy_database(f"sqlite:///{tmp_path}/empty.db", tmp_path)
    (tmp_path / "text.db").write_text("no database, but long enough to be read as one" * 100)
    with pytest.raises(StorageError, match="not an SQLite database"):
        copy_database(f"sqlite:///{tmp_path}/text.db", tmp_path)


async def test_a_full_disk_leaves_nothing_and_harms_nothing(
    tmp_path: Path, small_disk: Path
) -> None:
    place = place_at(tmp_path / "data")
    await filled(place)
    make_large(place.data_dir / "databot.db", steps=3)
    for name in ("b", "b.tar.gz"):
        with (
            pytest.raises(StorageUnavailable, match=r"disk is full|no space left"),
            new_place(small_disk / name) as at,
        ):
            copy_database(place.url, at.work)
        assert names(small_disk) == []
    fill(small_disk)
    with (
        pytest.raises(StorageUnavailable, match="no space left"),
        new_place(small_disk / "b.tar.gz") as at,
    ):
        at.add(place.data_dir / "databot.db", "databot.db")
    assert names(small_disk) == ["filler"]


# The place


@pytest.mark.parametrize("name", ["b", "b.tar.gz"])
def test_what_is_there_already_stays_as_it_is(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"), new_place(target):
        pytest.fail("not reached")
    target.unlink()

    def overtaken() -> None:
        with new_place(target) as at:
            (at.work / "made").touch()
            at.keep("made")
            target.write_text("mine, come meanwhile")

    with pytest.raises(ConfigError, match="exists already"):
        overtaken()
    assert target.read_text() == "mine, come meanwhile"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["b", "b.tar.gz"])
def test_an_error_leaves_nothing(tmp_path: Path, name: str) -> None:
    def fail() -> None:
        with new_place(tmp_path / name) as at:
            (at.work / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_backup_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".b.part"
    (left / "artifacts").mkdir(parents=True)
    (left / "half.db").touch()
    (tmp_path / "kept").touch()
    (left / "link").symlink_to(tmp_path / "kept")
    with new_place(tmp_path / "b") as at:
        at.add(tmp_path / "kept", "artifacts/xy/kept")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "kept"]
    assert [path.name for path in (tmp_path / "b").rglob("*")] == ["artifacts", "xy", "kept"]
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "b").rglob("*") if path.is_dir()}
    assert modes == {0o700}


def test_two_backups_to_one_path_do_not_meet(tmp_path: Path) -> None:
    with (
        new_place(tmp_path / "b"),
        pytest.raises(ConfigError, match="under way"),
        new_place(tmp_path / "b"),
    ):
        pytest.fail("not reached")
    assert (tmp_path / "b").is_dir()


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"), new_place(tmp_path / "no" / "b"):
        pytest.fail("not reached")


def test_an_archive_gives_everything_to_whoever_unpacks_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    with new_place(tmp_path / "b.tgz") as at:
        assert at.add(tmp_path / "file", "artifacts/xy/file")
        assert not at.add(tmp_path / "gone", "artifacts/xy/gone")
    assert (tmp_path / "b.tgz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "b.tgz") as tar:
        entries = [(item.name, oct(item.mode), item.uid, item.uname) for item in tar]
    assert entries == [
        ("artifacts", "0o700", 0, ""),
        ("artifacts/xy", "0o700", 0, ""),
        ("artifacts/xy/file", "0o600", 0, ""),
    ]


# PostgreSQL


@pytest.mark.service
async def test_a_dump_of_postgresql_is_restored_into_a_new_database(
    tmp_path: Path, postgres_url: str
) -> None:
    import asyncio

    async with postgres_schema(postgres_url) as url:
        place = Place(url=url, data_dir=tmp_path)
        await filled(place)
        copy = await asyncio.to_thread(copy_database, url, tmp_path)
        assert (copy.rows["conversation"], copy.rows["inbox"], copy.unfinished) == (1, 2, 1)
        assert list(copy.artifacts.values()) == [5]
        assert copy.file.stat().st_mode & 0o777 == 0o600
        name = f"restored_{secrets.token_hex(4)}"
        admin = await asyncpg.connect(postgres_url)
        try:
            await admin.execute(f"CREATE DATABASE {name}")
            await restore(copy.file, postgres_url, name, copy.place)
            new = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
            there = Place(url=f"{new}?search_path={copy.place}", data_dir=tmp_path)
            async with there.open() as store:
                assert [turn.turn_id for turn in await unfinished(store)] == ["t2"]
                again = await store.inbox.ingest("t3", message("third"))
                assert again.seq > 2  # the numbers go on where they were
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.close()


async def restore(dump: Path, server: str, database: str, schema: str) -> None:
    """As the printed steps say, with the schema the tables were in."""
    import asyncio

    url = urlunsplit(urlsplit(server)._replace(path=f"/{database}"))
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE SCHEMA {schema}")
    await connection.close()
    process = await asyncio.create_subprocess_exec(
        "pg_restore", "--no-owner", "--single-transaction", "-d", url, str(dump)
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 0


@pytest.mark.service
async def test_a_missing_or_failing_pg_dump_is_told_in_one_line(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async with postgres_schema(postgres_url) as url:
        await filled(Place(url=url, data_dir=tmp_path))
        programs = tmp_path / "bin"
        programs.mkdir()
        monkeypatch.setenv("PATH", str(programs))
        with pytest.raises(ConfigError, match="pg_dump is not installed"):
            await asyncio.to_thread(copy_database, url, tmp_path)
        for name in ("pg_dump", "pg_restore"):
            (programs / name).write_text(
                "#!/bin/sh\nprintf '%s\\n' \"$0: error: server version: 99; $*\" >&2\nexit 1\n"
            )
            (programs / name).chmod(0o700)
        with pytest.raises(StorageError, match="server version: 99") as caught:
            await asyncio.to_thread(copy_database, url, tmp_path)
        password = urlsplit(postgres_url).password or ""
        assert password not in str(caught.value)  # what it prints is its arguments
        (programs / "pg_dump").write_text("#!/bin/sh\necho something\n")
        (tmp_path / "databot.pgdump").unlink()
        with pytest.raises(StorageError, match="the dump is not whole"):
            await asyncio.to_thread(copy_database, url, tmp_path)


def test_the_login_and_the_encryption_reach_pg_dump_by_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from databot.storage.postgres.address import address_of

    monkeypatch.delenv("PGSSLMODE", raising=False)
    url = "postgresql+asyncpg://me:p%40ss%2Fw%3Ard@db.example.com:6432/talks?ssl=require"
    given = backup_postgres.environment(url, address_of(url))
    told = {name: given[name] for name in given if name.startswith("PG")}
    kept = {name for name in os.environ if name.startswith("PG")}
    assert {name: told[name] for name in told if name not in kept} == {
        "PGHOST": "db.example.com",
        "PGPORT": "6432",
        "PGDATABASE": "talks",
        "PGUSER": "me",
        "PGPASSWORD": "p@ss/w:rd",
        "PGSSLMODE": "require",
    }
