"""PostgreSQL as it fails in earnest: restarted, crashed, failed over, starved of connections, time and disk."""

import asyncio
import os
import secrets
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from databot.storage.open import Store
from databot.storage.postgres import connections
from databot.types.errors import StorageUnavailable
from databot.types.messages import InboundMessage
from tests.disk import fill
from tests.storage.parts import Place, claimed, finish, message, said, unfinished
from tests.storage.postgres.private import Server, find_binaries, own_server

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[Server]:
    """Only where the shared server is too: it says that there is PostgreSQL to test with."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no initdb: the shared server runs elsewhere")
    with own_server(binaries) as found:
        yield found


@pytest.fixture
async def admin(server: Server) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url)
    yield connection
    await connection.close()


@pytest.fixture
async def place(server: Server, tmp_path: Path) -> Place:
    """A database of its own."""
    name = f"t{secrets.token_hex(4)}"
    admin = await asyncpg.connect(server.url)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = server.url.replace("postgresql:", "postgresql+asyncpg:")
    return Place(url=f"{url.rpartition('/')[0]}/{name}", data_dir=tmp_path)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    async with place.open() as opened, asyncio.timeout(100):
        await finish(opened, "first", message(), "a")
        yield opened


async def keep(store: Store, turn_id: str, chat: str = "chat") -> bool:
    """Whether a message was accepted; what else happens is a passing failure told in one line."""
    question = message(chat_id=chat, message_id=turn_id)
    (told,) = await asyncio.gather(store.inbox.ingest(turn_id, question), return_exceptions=True)
    if isinstance(told, StorageUnavailable):
        assert "\n" not in told.message
        assert told.hint
        return False
    assert not isinstance(told, BaseException), told
    return True


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_restarted_under_load_loses_nothing_it_acknowledged(
    store: Store, server: Server, mode: str
) -> None:
    """`immediate` is a crash: what was acknowledged is recovered from its log."""
    ended = asyncio.Event()
    kept: set[str] = set()
    grown = asyncio.Condition()

    async def write(caller: int) -> None:
        number = 0
        while not ended.is_set():
            turn_id = f"{mode}-{caller}-{number}"
            if await keep(store, turn_id, f"c{caller}"):
                kept.add(turn_id)
                number += 1
            async with grown:
                grown.notify_all()

    async def until(count: int) -> None:
        async with grown:
            await grown.wait_for(lambda: len(kept) >= count)

    async with asyncio.TaskGroup() as tasks:
        for caller in range(24):
            tasks.create_task(write(caller))
        await until(100)
        await asyncio.to_thread(server.stop, mode)
        await asyncio.to_thread(server.start)
        await until(len(kept) + 100)
        ended.set()
    keys = [message(chat_id=f"c{caller}").conversation for caller in range(24)]
    found = await asyncio.gather(*(store.inbox.open_turns(key) for key in keys))
    assert {turn for turns in found for turn in turns} >= kept


async def test_a_server_that_is_gone_is_told_at_once_and_found_again(
    store: Store, server: Server
) -> None:
    server.stop()
    told = await asyncio.gather(*(keep(store, f"gone{n}", f"c{n}") for n in range(50)))
    assert not any(told)
    with pytest.raises(StorageUnavailable, match="does not answer"):
        await store.inbox.open_turns(message().conversation)
    server.start()
    assert all(await asyncio.gather(*(keep(store, f"gone{n}", f"c{n}") for n in range(50))))


async def test_a_standby_is_read_and_a_write_waits_a_moment_for_it_to_be_promoted(
    store: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 0.2)
    server.demote()
    with pytest.raises(StorageUnavailable, match="read-only") as caught:
        await store.inbox.ingest("t1", message())
    assert "primary" in caught.value.hint
    assert len(await store.journal.history(message().conversation, 5)) == 2
    monkeypatch.setattr(connections, "PATIENCE_S", 60.0)
    async with asyncio.TaskGroup() as tasks:
        writing = [tasks.create_task(keep(store, f"t{n}")) for n in range(20)]
        await asyncio.to_thread(server.promote)
    assert all(task.result() for task in writing)


async def test_fewer_connections_than_the_pool_wants_are_shared(store: Store) -> None:
    """The server has 12, the pool asks for 16."""
    questions = [message(chat_id=f"c{n}") for n in range(60)]
    await asyncio.gather(*(finish(store, f"t{n}", each, "a") for n, each in enumerate(questions)))
    assert await unfinished(store, *(each.conversation for each in questions)) == []


async def test_a_server_whose_connections_are_all_taken_is_told(
    place: Place, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 0.2)
    async with taking_all(server) as taken:
        with pytest.raises(StorageUnavailable, match="connections left"):
            async with place.open():
                pass
        await taken.pop().close()
        async with asyncio.timeout(30):
            while not await is_open_to(place):  # the server takes a moment to notice
                pass


@asynccontextmanager
async def taking_all(server: Server) -> AsyncGenerator[list[asyncpg.Connection]]:
    """Every connection the server has."""
    taken: list[asyncpg.Connection] = []
    try:
        while True:
            try:
                taken.append(await asyncpg.connect(server.url))
            except asyncpg.TooManyConnectionsError:
                break
        yield taken
    finally:
        for connection in taken:
            await connection.close()


async def is_open_to(place: Place) -> bool:
    """Whether a store can be opened; one connection is enough for many callers then."""
    try:
        async with place.open() as store:
            assert all(await asyncio.gather(*(keep(store, f"t{n}", f"c{n}") for n in range(3))))
            return True
    except StorageUnavailable:
        return False


async def test_a_statement_the_server_stops_fails_its_caller_and_no_other(
    place: Place, server: Server, admin: asyncpg.Connection
) -> None:
    database = place.url.rpartition("/")[2]
    await admin.execute(f"ALTER DATABASE {database} SET statement_timeout = '500ms'")
    other = await asyncpg.connect(f"{server.url.rpartition('/')[0]}/{database}")
    async with place.open() as store, asyncio.timeout(60):
        for chat in range(5):
            assert await keep(store, f"first{chat}", f"c{chat}")
        holding = other.transaction()
        await holding.start()
        await other.execute("SELECT 1 FROM conversation WHERE session_id = 'c0' FOR UPDATE")
        told = await asyncio.gather(*(keep(store, f"t{n}", f"c{n % 5}") for n in range(50)))
        assert told == [n % 5 != 0 for n in range(50)]
        await holding.rollback()
        assert await keep(store, "t0", "c0")
    await other.close()


@contextmanager
def small_disk(server: Server) -> Generator[Path]:
    """A file system of 8 MB that the server may use; only root can make one."""
    disk = server.folder / "disk"
    disk.mkdir()
    options = f"size=8m,uid={server.folder.stat().st_uid},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


FAR_TOO_MANY = 10_000


async def fill_with(store: Store, question: InboundMessage) -> int:
    """Accept the message until it is refused; says how many were kept."""
    for kept in range(FAR_TOO_MANY):
        try:
            await store.inbox.ingest(f"t{kept}", question)
        except StorageUnavailable as error:
            told = error.message
            break
    else:
        return FAR_TOO_MANY
    assert "no disk" in told
    assert "\n" not in told
    return kept


async def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(
    place: Place, server: Server, admin: asyncpg.Connection
) -> None:
    database = place.url.rpartition("/")[2]
    with small_disk(server) as disk:
        await admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        await admin.execute(f"ALTER DATABASE {database} SET default_tablespace = 'small'")
        async with place.open() as store, asyncio.timeout(60):
            assert await keep(store, "first")
            question = message(content="x" * 2_000)
            filler = fill(disk)
            claim = await claimed(store, "first", message())
            kept = await fill_with(store, question)
            assert kept < FAR_TOO_MANY
            steps = (said("first", "x" * 9_000, n) for n in range(20))
            told = await asyncio.gather(
                *(store.journal.append(claim, each) for each in steps), return_exceptions=True
            )
            assert StorageUnavailable in {type(each) for each in told}
            assert len(await store.inbox.open_turns(question.conversation)) == kept + 1
            filler.unlink()
            assert await keep(store, "after")
        await admin.execute(f"DROP DATABASE {database}")
        await admin.execute("DROP TABLESPACE small")
