"""Many updates as one statement: leases on PostgreSQL, beside transactions that stand still."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from databot.storage.base import Claim, Renewal, Worker
from databot.storage.claim_statements import RENEW
from databot.storage.open import Store, build_store
from databot.storage.postgres import connections
from databot.storage.postgres.address import address_of
from databot.storage.postgres.database import PostgresDatabase
from databot.testing.clock import FakeClock, SequentialIds
from tests.storage.parts import claimed, message
from tests.storage.places import postgres_schema

pytestmark = pytest.mark.service
LIMIT_S = 60
MANY = 50


@pytest.fixture
async def url(postgres_url: str) -> AsyncIterator[str]:
    async with postgres_schema(postgres_url) as found:
        yield found


@pytest.fixture
async def database(url: str) -> AsyncIterator[PostgresDatabase]:
    opened = await PostgresDatabase.open(address_of(url))
    async with asyncio.timeout(LIMIT_S):
        yield opened
    await opened.aclose()


@pytest.fixture
def store(database: PostgresDatabase, tmp_path: Path) -> Store:
    return build_store(database, tmp_path, FakeClock(), SequentialIds(), Worker(name="w"))


@asynccontextmanager
async def another(url: str) -> AsyncGenerator[asyncpg.Connection]:
    """A connection of somebody else, without any of our settings."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def standing_still(url: str, session: str) -> AsyncGenerator[asyncpg.Connection]:
    """Somebody who has locked a conversation and does nothing more."""
    async with another(url) as other:
        await other.execute("BEGIN")
        sql = "SELECT 1 FROM conversation WHERE session_id = $1 FOR UPDATE"
        assert await other.fetch(sql, session)
        yield other


async def leases(url: str) -> dict[str, int]:
    async with another(url) as admin:
        rows = await admin.fetch("SELECT session_id, lease_until FROM conversation")
    return {row[0]: row[1] for row in rows}


async def held(store: Store, number: int) -> list[Claim]:
    asked = [message(chat_id=f"chat{at}") for at in range(number)]
    for at, question in enumerate(asked):
        await store.inbox.ingest(f"t{at}", question)
    return [await claimed(store, f"t{at}", question) for at, question in enumerate(asked)]


async def test_every_lease_is_renewed_and_each_claim_hears_of_its_own(store: Store) -> None:
    claims = await held(store, MANY)
    await store.claims.settle(claims[3], "done")
    await store.inbox.stop("default", "t5", {"type": "x", "message": "x"})
    renewals = await store.claims.renew(claims)
    assert [at for at, renewal in enumerate(renewals) if renewal.lost] == [3]
    assert [at for at, renewal in enumerate(renewals) if renewal.stop_asked] == [5]
    assert list(await store.claims.renew([])) == []


async def test_a_conversation_that_is_locked_holds_up_no_other_lease(
    store: Store, url: str
) -> None:
    claims = await held(store, MANY)
    before = await leases(url)
    async with standing_still(url, "chat7") as other:
        renewing = asyncio.ensure_future(store.claims.renew(claims))
        while sum(end > before[chat] for chat, end in (await leases(url)).items()) < MANY - 1:
            assert not renewing.done()
        assert not renewing.done()
        await other.execute("COMMIT")
        assert await renewing == [Renewal()] * MANY


async def test_a_renewal_reads_no_more_than_it_writes(
    store: Store, database: PostgresDatabase, url: str
) -> None:
    await held(store, 1)
    query = database.prepare_each(RENEW).many  # type: ignore[attr-defined]
    async with another(url) as admin:
        await admin.execute(
            "INSERT INTO conversation (tenant_id, bot_id, session_id, channel, title, created_at, updated_at)"
            " SELECT 'x', 'x', n::text, 'x', 'x', 0, 0 FROM generate_series(1, 20000) AS n"
        )
        await admin.execute("ANALYZE")
        await admin.execute(f"PREPARE renewal AS {query.sql}")
        values = {"turn_id": "ARRAY['t0']", "fence": "ARRAY[1]", "lease_ttl": "ARRAY[1]"}
        given = ", ".join(values[name] for name in query.names)
        plan = "\n".join(row[0] for row in await admin.fetch(f"EXPLAIN EXECUTE renewal({given})"))
    assert "Seq Scan on conversation" not in plan


async def test_who_stands_still_inside_a_transaction_lets_go_after_a_while(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connections, "IDLE_TIMEOUT", "100ms")
    database = await PostgresDatabase.open(address_of(url))
    try:
        async with asyncio.timeout(LIMIT_S):
            store = build_store(
                database, tmp_path, FakeClock(), SequentialIds(), Worker(name="frozen")
            )
            (claim,) = await held(store, 1)
            frozen = await database._connections._pool.acquire()  # pyright: ignore[reportPrivateUsage] - as a process that stops here has it
            await frozen.execute("BEGIN")
            await frozen.fetch("SELECT 1 FROM conversation FOR UPDATE")
            assert await store.claims.settle(claim, "done") is False  # the server ended the other
    finally:
        await database.aclose()
