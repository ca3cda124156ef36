"""`databot db` as people run it: what it says, what it leaves, and how it ends."""

import asyncio
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.cli.conftest import WAIT_S, Run

CONFIG = "data_dir: data\nllm: {model: offline}\nrag: {enabled: false}\n"


@pytest.fixture
def workspace(tmp_path: Path, databot: Run) -> Path:
    """A folder with a configuration and a store with one conversation."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert databot("chat", "-m", "hello", "--session", "mine").returncode == 0
    return tmp_path


def test_a_backup_says_what_it_wrote_and_its_own_steps_restore_it(
    databot: Run, workspace: Path
) -> None:
    done = databot("db", "backup", "b.tar.gz")
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote " in done.stdout
    assert "verified: 1 conversation, 1 turn, 0 of them unfinished" in done.stdout
    step = next(line for line in done.stdout.splitlines() if "mkdir" in line).split(". ", 1)[1]
    subprocess.run(step, shell=True, cwd=workspace, check=True, timeout=60)
    assert (workspace / "NEW").stat().st_mode & 0o777 == 0o700
    assert "mine" in databot("sessions", "list", DATABOT_DATA_DIR="NEW").stdout
    assert "hello" in databot("sessions", "show", "mine", DATABOT_DATA_DIR="NEW").stdout


def test_a_folder_is_restored_the_same_way_and_its_facts_are_in_it(
    databot: Run, workspace: Path
) -> None:
    done = databot("db", "backup", "b", "--json")
    told = json.loads(done.stdout)
    assert (told["rows"]["inbox"], told["unfinished_turns"], told["schema"]) == (1, 0, "0002")
    facts = json.loads((workspace / "b" / "backup.json").read_text())
    assert facts["rows"] == told["rows"]
    assert facts["made_at"].endswith("+00:00")
    subprocess.run(told["restore"][1], shell=True, cwd=workspace, check=True, timeout=60)
    assert "hello" in databot("sessions", "show", "mine", DATABOT_DATA_DIR="NEW").stdout


def test_a_file_the_database_names_comes_along_and_no_other(databot: Run, workspace: Path) -> None:
    kept = workspace / "data" / "artifacts" / "01" / "art_01"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"id\n1\n")
    (kept.parent / "art_02").write_bytes(b"nobody's")
    (kept.parent / ".art_03.part").write_bytes(b"half")
    with closing(sqlite3.connect(workspace / "data" / "databot.db")) as db, db:
        for name in ("art_01", "art_04"):
            db.execute(
                "INSERT INTO artifact VALUES (?, 'default', 'default', 'mine', 'x', 'text/csv', 5, 0)",
                (name,),
            )
    done = databot("db", "backup", "b")
    assert "artifacts: 1 file (1 file not there)" in done.stdout
    files = [path for path in (workspace / "b" / "artifacts").rglob("*") if path.is_file()]
    assert [(path.name, path.read_bytes()) for path in files] == [("art_01", b"id\n1\n")]


def test_the_index_comes_along_unless_somebody_writes_it(databot: Run, workspace: Path) -> None:
    import fcntl

    rag = workspace / "data" / "rag"
    (rag / "chroma").mkdir(parents=True)
    (rag / "chroma" / "vectors.bin").write_bytes(b"1234")
    with closing(sqlite3.connect(rag / "words.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        with db:
            db.execute("CREATE TABLE words (w TEXT)")
        assert "retrieval index: copied" in databot("db", "backup", "b").stdout
    with closing(sqlite3.connect(workspace / "b" / "rag" / "words.db")) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("words",)]
    assert (workspace / "b" / "rag" / "chroma" / "vectors.bin").read_bytes() == b"1234"
    with (rag / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = databot("db", "backup", "b2.tgz")
    assert "left out: it is being written just now" in done.stdout
    assert done.returncode == 0


def test_mistakes_are_one_line_and_status_2(databot: Run, workspace: Path) -> None:
    (workspace / "there").mkdir()
    (workspace / "there" / "mine").touch()
    for arguments, said in (
        (("there",), "exists already"),
        (("no/where.tgz",), "does not exist"),
        (("b", "--config", "none.yaml"), "does not exist"),
    ):
        done = databot("db", "backup", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = databot("db", "backup", "b", DATABOT_DATA_DIR="empty")
    assert done.returncode == 2
    assert "there is nothing in the database" in done.stderr
    assert not (workspace / "empty").exists()
    assert sorted(path.name for path in workspace.iterdir()) == ["config.yaml", "data", "there"]


def test_a_backup_without_room_is_one_line_and_status_1(
    databot: Run, workspace: Path, small_disk: Path
) -> None:
    with closing(sqlite3.connect(workspace / "data" / "databot.db")) as db, db:
        db.execute("CREATE TABLE ballast AS SELECT zeroblob(20000000)")
    done = databot("db", "backup", str(small_disk / "b"))
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(small_disk.iterdir()) == []


IN_THE_BACKGROUND = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
"""As a shell without job control runs what ends in `&`: it has SIGINT ignored."""


@pytest.mark.parametrize(
    ("number", "shell"),
    [(signal.SIGTERM, []), (signal.SIGTERM, IN_THE_BACKGROUND), (signal.SIGKILL, [])],
)
def test_a_backup_that_is_ended_half_way_leaves_no_backup(
    databot: Run,
    workspace: Path,
    environment: Mapping[str, str],
    number: signal.Signals,
    shell: list[str],
) -> None:
    with closing(sqlite3.connect(workspace / "data" / "databot.db")) as db, db:
        db.execute("CREATE TABLE ballast (b BLOB)")
        for _ in range(50):
            db.execute("INSERT INTO ballast VALUES (?)", (os.urandom(2_000_000),))
    child = subprocess.Popen(
        [*shell, sys.executable, "-m", "databot", "db", "backup", "b.tgz"],
        cwd=workspace,
        env=dict(environment),
        stderr=subprocess.PIPE,
    )
    half = workspace / ".b.tgz.part"
    end = time.monotonic() + WAIT_S
    while not (half / "databot.db").exists():
        assert child.poll() is None, "it was over before it could be ended"
        assert time.monotonic() < end
    child.send_signal(number)
    child.communicate(timeout=WAIT_S)
    assert child.returncode != 0
    assert not (workspace / "b.tgz").exists()
    assert half.exists() == (number is signal.SIGKILL)
    assert databot("db", "backup", "b.tgz").returncode == 0
    assert not half.exists()


@pytest.mark.service
def test_a_backup_of_postgresql_that_is_ended_ends_pg_dump_too(
    databot: Run, workspace: Path, environment: Mapping[str, str], postgres_url: str
) -> None:
    programs, mark = workspace / "bin", workspace / "pid"
    programs.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (programs / name).write_text(f"#!/bin/sh\necho $$ > '{mark}'\nexec sleep 300\n")
        (programs / name).chmod(0o700)
    database = f"ended_{secrets.token_hex(4)}"
    asyncio.run(on_server(postgres_url, f"CREATE DATABASE {database}"))
    try:
        url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{database}"))
        assert databot("db", "upgrade", DATABOT_STORAGE__URL=url).returncode == 0
        child = subprocess.Popen(
            [sys.executable, "-m", "databot", "db", "backup", "b"],
            cwd=workspace,
            env={
                **environment,
                "DATABOT_STORAGE__URL": url,
                "PATH": f"{programs}:{environment['PATH']}",
            },
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + WAIT_S
        while not mark.exists() or not mark.read_text().strip():
            assert child.poll() is None
            assert time.monotonic() < end
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=WAIT_S)
        assert (child.returncode, said) == (130, b"")
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.read_text()), 0)
        assert sorted(path.name for path in workspace.iterdir()) == [
            *("bin", "config.yaml", "data", "pid"),
        ]
    finally:
        asyncio.run(on_server(postgres_url, f"DROP DATABASE {database} WITH (FORCE)"))


async def on_server(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_upgrade_says_from_where_to_where(databot: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = databot("db", "upgrade")
    assert done.returncode == 0
    assert "was made, at schema 0002" in done.stdout
    assert "is at schema 0002 already" in databot("db", "upgrade").stdout
    from databot.storage.migrate import script_between

    old = tmp_path / "old"
    old.mkdir()
    with closing(sqlite3.connect(old / "databot.db")) as db:
        db.executescript(script_between(None, "0001", "sqlite"))
    done = databot("db", "upgrade", DATABOT_DATA_DIR="old")
    assert "was brought from schema 0001 to 0002" in done.stdout
    with closing(sqlite3.connect(old / "databot.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    done = databot("db", "upgrade", DATABOT_DATA_DIR="old")
    assert (done.returncode, done.stdout) == (2, "")
    assert "made by a newer databot" in done.stderr
