"""PostgreSQL in trouble: not there, wrong database, connections lost."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from databot.storage.open import Store, open_database
from databot.storage.postgres.address import address_of
from databot.storage.postgres.errors import translate, translate_at_open
from databot.types.errors import ConfigError, MissingExtra, StorageError, StorageUnavailable
from databot.types.messages import ConversationKey
from tests.storage.parts import Place, finish, message, reply
from tests.storage.places import place_in

OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'databot' AND pid <> pg_backend_pid()"""


@pytest.fixture
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with place_in("postgres", request) as found:
        yield found


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(StorageUnavailable, match="does not answer") as caught:
        await open_database(f"postgresql://ada:secret@127.0.0.1:{port}/x", exclusive=True)
    assert "secret" not in str(caught.value)


async def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra) as caught:
        await open_database("postgresql://h/x", exclusive=True)
    assert "[postgres]" in caught.value.hint


@pytest.mark.service
async def test_a_database_that_does_not_exist_is_a_mistake_in_the_configuration(
    postgres_url: str,
) -> None:
    with pytest.raises(ConfigError, match="no such database"):
        await open_database(f"{postgres_url}_nope", exclusive=True)


@pytest.mark.service
async def test_a_user_who_may_not_make_tables_is_told_so(postgres_url: str) -> None:
    admin = await asyncpg.connect(postgres_url)
    address = address_of(postgres_url)
    await admin.execute("DROP ROLE IF EXISTS databot_guest")
    await admin.execute("CREATE ROLE databot_guest LOGIN PASSWORD 'guest'")
    try:
        url = f"postgresql://databot_guest:guest@{address}?search_path=information_schema"
        with pytest.raises(ConfigError, match="create tables"):
            await open_database(url, exclusive=True)
    finally:
        await admin.execute("DROP ROLE databot_guest")
        await admin.close()


@pytest.mark.service
async def test_connections_the_server_dropped_are_replaced_without_anybody_noticing(
    place: Place, postgres_url: str
) -> None:
    admin = await asyncpg.connect(postgres_url)
    async with place.open() as store, asyncio.timeout(60):
        chats = [message(chat_id=f"c{n}") for n in range(20)]
        await asyncio.gather(*(finish(store, f"t{n}", chats[n], "a") for n in range(20)))
        await admin.execute(OTHERS)
        await asyncio.gather(*(finish(store, f"after{n}", chats[n], "a") for n in range(20)))
        for chat in chats:
            assert len(await store.journal.history(chat.conversation, 100)) == 4
    await admin.close()


@pytest.mark.service
async def test_a_store_whose_server_dropped_it_still_closes(
    place: Place, postgres_url: str
) -> None:
    admin = await asyncpg.connect(postgres_url)
    async with place.open() as store, asyncio.timeout(60):
        await finish(store, "t1", message(), "a")
        await admin.execute(OTHERS)
    await admin.close()


@pytest.mark.service
async def test_many_more_callers_than_connections_are_all_served(place: Place) -> None:
    async with place.open() as store, asyncio.timeout(60):
        await asyncio.gather(
            *(finish(store, f"t{n}", message(chat_id=f"c{n}"), "a") for n in range(100)),
            *(store.inbox.ingest(f"w{n}", message(chat_id=f"w{n % 7}")) for n in range(100)),
        )
        assert await store.inbox.open_by_tenant() == {"default": 100}
        chats = [message(chat_id=f"w{n}").conversation for n in range(7)]
        await asyncio.gather(*(work_off(store, chat) for chat in chats))
        assert await store.inbox.open_by_tenant() == {}


async def work_off(store: Store, chat: ConversationKey) -> None:
    """Answer all the turns of a conversation."""
    while claim := await store.claims.claim(chat):
        await store.claims.settle(claim, "done", reply=reply(claim.turn_id))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.TooManyConnectionsError("x"), StorageUnavailable),
        (asyncpg.DiskFullError("x"), StorageUnavailable),
        (asyncpg.DeadlockDetectedError("x"), StorageUnavailable),
        (asyncpg.ReadOnlySQLTransactionError("x"), StorageUnavailable),
        (asyncpg.QueryCanceledError("x"), StorageUnavailable),
        (asyncpg.InterfaceError("x"), StorageUnavailable),
        (ConnectionResetError("x"), StorageUnavailable),
        (TimeoutError(), StorageUnavailable),
        (asyncpg.UniqueViolationError("secret"), StorageError),
        (KeyError("x"), StorageError),
    ],
)
def test_each_failure_is_told_as_passing_or_not(
    error: Exception, expected: type[StorageError]
) -> None:
    told = translate(error, "h:1/db")
    assert type(told) is expected
    assert "secret" not in told.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (asyncpg.InvalidPasswordError("x"), "refused the login"),
        (asyncpg.InvalidCatalogNameError("x"), "no such database"),
        (asyncpg.InvalidSchemaNameError("x"), "no such schema"),
        (asyncpg.ClientConfigurationError("x"), "cannot be used"),
    ],
)
def test_a_mistake_of_the_configuration_is_told_as_one(error: Exception, words: str) -> None:
    told = translate_at_open(error, "h:1/db")
    assert type(told) is ConfigError
    assert words in told.message
