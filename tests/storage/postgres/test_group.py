"""Group commit, on a real server: each caller gets what it would have got alone."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from databot.storage.database import Action, Query, Row
from databot.storage.inbox_statements import KEEP, KEY
from databot.storage.open import Store, open_database
from databot.storage.postgres import group
from databot.storage.postgres.database import PostgresDatabase
from databot.storage.statements import fixed, insert_chosen, param, same
from databot.storage.tables import conversation, inbox, journal
from databot.types.errors import Busy, StorageError, StorageUnavailable
from tests.storage.parts import Place, message
from tests.storage.places import place_in

pytestmark = pytest.mark.service
# As a worker writes: only while it holds the claim, whose number is the fence.
FENCED = (
    insert_chosen(
        journal,
        {
            journal.c.conversation_id: conversation.c.id,
            journal.c.seq: fixed("1"),
            journal.c.step: param(journal.c.step),
            journal.c.kind: fixed("'messages'"),
            journal.c.fence: conversation.c.fence,
            journal.c.at: fixed("0"),
            journal.c.payload: param(journal.c.payload),
        },
        same(conversation.c.session_id, conversation.c.fence),
        locking=conversation,
        shared=True,
    )
    .on_conflict_do_nothing()
    .returning(journal.c.step)
)
WAITING = """SELECT DISTINCT pid FROM pg_locks
             WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"""


@pytest.fixture
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with place_in("postgres", request) as found:
        yield found


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    async with place.open() as opened, asyncio.timeout(60):
        for number in range(4):
            await opened.inbox.ingest(f"first{number}", message(chat_id=f"c{number}"))
        yield opened


@pytest.fixture
async def database(place: Place, store: Store) -> AsyncIterator[PostgresDatabase]:
    """Beside the store, as another replica would be."""
    opened = await open_database(place.url, exclusive=True)
    assert isinstance(opened, PostgresDatabase)
    yield opened
    await opened.aclose()


@pytest.fixture
async def admin(place: Place, postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A program beside databot, that may hold what databot wants."""
    schema = place.url.rpartition("=")[2]
    connection = await asyncpg.connect(postgres_url, server_settings={"search_path": schema})
    yield connection
    await connection.close()


def step(number: int, *, chat: str = "c0", fence: int = 0, payload: str = "[]") -> dict[str, Any]:
    return {"session_id": chat, "fence": fence, "step": number, "payload": payload}


async def together(
    database: PostgresDatabase, query: Query, units: Sequence[dict[str, Any]]
) -> list[Sequence[Row] | BaseException]:
    """What each of many callers gets that write at the same moment: its rows, or its error."""

    async def one(params: dict[str, Any]) -> Sequence[Row]:
        (rows,) = await database.write(((query, params),))
        return [list(row) for row in rows]

    return await asyncio.gather(*(one(params) for params in units), return_exceptions=True)


async def transactions(admin: asyncpg.Connection, table: str) -> int:
    """How many transactions wrote the rows of a table."""
    return await admin.fetchval(f"SELECT count(DISTINCT xmin::text)::int FROM {table}") or 0


async def blocked(admin: asyncpg.Connection) -> None:
    """Wait until somebody waits for what `admin` holds."""
    while not await admin.fetchval(f"SELECT count(*) FROM ({WAITING}) AS waiting"):
        pass


async def test_many_messages_at_once_share_transactions_and_keep_their_order(
    store: Store, admin: asyncpg.Connection
) -> None:
    before = await transactions(admin, "inbox")
    accepted = await asyncio.gather(
        *(store.inbox.ingest(f"t{n}", message(chat_id=f"c{n % 4}")) for n in range(100))
    )
    numbers = [each.seq for each in accepted]
    assert len(set(numbers)) == 100
    for chat in range(4):
        assert numbers[chat::4] == sorted(numbers[chat::4])
    rows = await admin.fetch("SELECT turn_id, seq FROM inbox WHERE turn_id LIKE 't%'")
    assert {row["turn_id"]: row["seq"] for row in rows} == {
        f"t{n}": seq for n, seq in enumerate(numbers)
    }
    assert await transactions(admin, "inbox") - before < 40  # at most one of a conversation in each


async def test_many_messages_at_once_keep_to_the_limit_of_their_conversation(store: Store) -> None:
    async def ingest(number: int) -> int | None:
        question = message(chat_id=f"c{number % 2}")
        try:
            accepted = await store.inbox.ingest(f"t{number}", question, most_waiting=5)
        except Busy:
            return None
        return accepted.seq

    kept = await asyncio.gather(*(ingest(n) for n in range(40)))
    for chat in range(2):  # one waits already
        assert [seq is not None for seq in kept[chat::2]] == [True] * 4 + [False] * 16


async def test_one_message_delivered_many_times_at_once_is_kept_once(store: Store) -> None:
    accepted = await asyncio.gather(
        *(store.inbox.ingest(f"t{n}", message(chat_id="c1", message_id="m")) for n in range(30))
    )
    assert [each.duplicate for each in accepted].count(False) == 1
    assert len({(each.turn_id, each.seq) for each in accepted}) == 1


async def test_of_a_step_written_twice_in_one_batch_the_first_stands(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    query = database.prepare(FENCED)
    units = [step(n // 2, payload=f'"{n}"') for n in range(20)]
    found = await together(database, query, units)
    assert found == [[[n // 2]] if n % 2 == 0 else [] for n in range(20)]
    kept = await admin.fetch("SELECT payload FROM journal ORDER BY step")
    assert [row["payload"] for row in kept] == [f'"{n}"' for n in range(0, 20, 2)]
    assert await transactions(admin, "journal") == 1


async def test_a_worker_that_lost_its_claim_writes_nothing_and_the_others_of_its_batch_do(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    await admin.execute("UPDATE conversation SET fence = 7 WHERE session_id = 'c1'")
    units = [step(n, chat=f"c{n % 2}", fence=7 if n % 3 == 1 else 0) for n in range(12)]
    found = await together(database, database.prepare(FENCED), units)
    right = [(n % 2 == 1) == (n % 3 == 1) for n in range(12)]
    assert found == [[[n]] if right[n] else [] for n in range(12)]


async def test_a_claim_made_while_a_batch_waits_for_it_is_seen(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    claim = admin.transaction()
    await claim.start()
    await admin.execute("UPDATE conversation SET fence = 1 WHERE session_id = 'c0'")
    async with asyncio.TaskGroup() as tasks:
        units = [step(1), step(2), step(1, chat="c1")]
        writing = tasks.create_task(together(database, database.prepare(FENCED), units))
        await blocked(admin)
        await claim.commit()
    assert writing.result() == [[], [], [[1]]]


async def test_a_conversation_that_is_held_holds_up_nobody_else(
    store: Store, admin: asyncpg.Connection
) -> None:
    holding = admin.transaction()
    await holding.start()
    await admin.execute("SELECT 1 FROM conversation WHERE session_id = 'c0' FOR UPDATE")
    async with asyncio.TaskGroup() as tasks:
        held = [
            tasks.create_task(store.inbox.ingest(f"held{n}", message(chat_id="c0")))
            for n in range(6)
        ]
        for turn in range(3):
            await asyncio.gather(
                *(
                    store.inbox.ingest(f"{turn}-{n}", message(chat_id=f"c{1 + n % 3}"))
                    for n in range(30)
                )
            )
        assert not any(task.done() for task in held)
        await holding.rollback()
    assert len({task.result().seq for task in held}) == 6


async def test_a_row_the_server_refuses_fails_its_own_caller_alone(
    database: PostgresDatabase,
) -> None:
    units = [step(n, payload="a\0b" if n in (3, 8) else "[]") for n in range(12)]
    found = await together(database, database.prepare(FENCED), units)
    assert [type(each) for each in found if not isinstance(each, list)] == [StorageError] * 2
    assert [isinstance(found[n], StorageError) for n in (3, 8)] == [True, True]
    assert [found[n] for n in range(12) if n not in (3, 8)] == [
        [[n]] for n in range(12) if n not in (3, 8)
    ]


async def test_a_value_of_the_wrong_kind_fails_its_own_caller_alone(
    database: PostgresDatabase,
) -> None:
    units: list[dict[str, Any]] = [step(n) for n in range(6)]
    units[2]["step"] = "two"
    del units[4]["payload"]
    found = await together(database, database.prepare(FENCED), units)
    assert [type(each) for each in found] == [list, list, StorageError, list, KeyError, list]


async def test_callers_that_are_cancelled_disturb_nobody(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    query = database.prepare(FENCED)

    async def write(number: int) -> Sequence[Row]:
        return (await database.write(((query, step(number)),)))[0]

    async with asyncio.TaskGroup() as tasks:
        writing = [tasks.create_task(write(n)) for n in range(40)]
        await asyncio.sleep(0)
        for n in range(0, 40, 4):
            writing[n].cancel()
        await asyncio.wait(writing)
    assert [[list(row) for row in writing[n].result()] for n in range(40) if n % 4] == [
        [[n]] for n in range(40) if n % 4
    ]
    assert all(writing[n].cancelled() for n in range(0, 40, 4))


async def test_a_batch_on_a_connection_that_is_cut_is_run_again(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    query = database.prepare(FENCED)
    holding = admin.transaction()
    await holding.start()  # the key of step 5, so that the batch is under way and waits
    chat = "SELECT id FROM conversation WHERE session_id = 'c0'"
    await admin.execute(
        f"INSERT INTO journal (conversation_id, seq, step, kind, at, payload) VALUES (({chat}), 1, 5, 'messages', 0, '')"
    )
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(together(database, query, [step(n) for n in range(10)]))
        await blocked(admin)
        pids = [row["pid"] for row in await admin.fetch(WAITING)]
        for pid in pids:
            await admin.execute("SELECT pg_terminate_backend($1)", pid)
        while await admin.fetchval("SELECT count(*) FROM pg_locks WHERE pid = ANY($1)", pids):
            pass
        await blocked(admin)
        await holding.rollback()
    assert writing.result() == [[[n]] for n in range(10)]
    assert await admin.fetchval("SELECT count(*) FROM journal") == 10


async def test_a_batch_that_ends_in_a_deadlock_is_run_one_by_one(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    other = admin.transaction()
    await admin.execute("SET deadlock_timeout = '60s'")  # so that it is ours that is ended
    await other.start()
    chat = await admin.fetchval("SELECT id FROM conversation WHERE session_id = 'c0'")
    insert = """INSERT INTO journal (conversation_id, seq, step, kind, at, payload)
                VALUES ($1, 1, $2, 'messages', 0, '') ON CONFLICT DO NOTHING"""
    await admin.execute(insert, chat, 9)
    async with asyncio.TaskGroup() as tasks:
        units = [step(n) for n in range(12)]
        writing = tasks.create_task(together(database, database.prepare(FENCED), units))
        await blocked(admin)
        await admin.execute(insert, chat, 0)  # it waits for ours, and ours for it
        await other.commit()
    assert writing.result() == [[] if n in (0, 9) else [[n]] for n in range(12)]


async def test_a_batch_is_bounded_in_bytes_and_in_rows(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    query = database.prepare(FENCED)
    large = "x" * (group.MAX_BATCH_BYTES // 3)
    found = await together(database, query, [step(n, payload=large) for n in range(9)])
    assert found == [[[n]] for n in range(9)]
    assert await transactions(admin, "journal") >= 4
    before = await transactions(admin, "journal")
    units = [step(n) for n in range(100, 100 + 2 * group.MAX_BATCH)]
    assert all(isinstance(each, list) for each in await together(database, query, units))
    assert await transactions(admin, "journal") - before == 2


async def test_more_than_may_wait_is_refused_at_once(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "MAX_WAITING", 10)
    query = database.prepare(FENCED)
    found = await together(database, query, [step(n) for n in range(15)])
    assert found[:10] == [[[n]] for n in range(10)]
    assert [type(each) for each in found[10:]] == [StorageUnavailable] * 5
    assert await together(database, query, [step(20)]) == [[[20]]]


async def test_closing_finishes_what_was_begun_and_takes_nothing_more(
    place: Place, store: Store
) -> None:
    database = await open_database(place.url, exclusive=True)
    assert isinstance(database, PostgresDatabase)
    query = database.prepare(FENCED)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(together(database, query, [step(n) for n in range(600)]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await database.aclose()
    assert writing.result() == [[[n]] for n in range(600)]
    (late,) = await together(database, query, [step(1_000)])
    assert isinstance(late, StorageUnavailable)
    assert "closed" in late.message
    await database.aclose()


async def test_closing_does_not_wait_for_ever_for_what_is_held(
    place: Place, store: Store, admin: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databot.storage.postgres.database.CLOSE_TIMEOUT_S", 0.1)
    monkeypatch.setattr("databot.storage.postgres.connections.CLOSE_TIMEOUT_S", 0.1)
    database = await open_database(place.url, exclusive=True)
    assert isinstance(database, PostgresDatabase)
    async with admin.transaction(), asyncio.TaskGroup() as tasks:
        await admin.execute("SELECT 1 FROM conversation FOR UPDATE")
        units = [step(n) for n in range(10)]
        writing = tasks.create_task(together(database, database.prepare(FENCED), units))
        await blocked(admin)
        await database.aclose()
        assert [type(each) for each in await writing] == [StorageUnavailable] * 10


@pytest.mark.parametrize("seed", range(5))
async def test_batches_of_anything_leave_what_some_order_of_single_writes_would(
    database: PostgresDatabase, admin: asyncpg.Connection, seed: int
) -> None:
    """Messages whose turn ids and external ids are taken at random: some collide in one of them, some in both."""
    dice = random.Random(seed)
    query = database.prepare_insert(KEEP, inbox.c.seq)
    units = [
        {
            **dict(
                zip((each.name for each in KEY), ("default", "default", f"c{n % 5}"), strict=True)
            ),
            "turn_id": f"t{dice.randrange(60)}",
            "channel": "http",
            "external_id": dice.choice([None, f"m{dice.randrange(60)}"]),
            "now": n,
            "question": '"?"',
            "body": "{}",
            "attachments": None,
            "most_waiting": 1_000,
        }
        for n in range(120)
    ]
    found = await together(database, query, units)
    rows = await admin.fetch("SELECT seq, accepted_at FROM inbox WHERE turn_id LIKE 't%'")
    kept = {row["accepted_at"]: row["seq"] for row in rows}
    assert found == [[[kept[n]]] if n in kept else [] for n in range(120)]
    names = [
        {("turn", unit["turn_id"]), ("message", unit["external_id"])} - {("message", None)}
        for unit in units
    ]
    taken = set[tuple[str, str]]().union(*(names[n] for n in kept))
    for n in range(120):  # who was refused had its name taken, or no conversation
        assert n in kept or names[n] & taken or n % 5 == 4


async def test_a_unit_of_several_statements_is_a_transaction_as_before(
    database: PostgresDatabase, admin: asyncpg.Connection
) -> None:
    query = database.prepare(FENCED)
    unit: list[Action] = [(query, step(1)), (query, step(2, payload="a\0b"))]
    with pytest.raises(StorageError):
        await database.write(unit)
    assert await admin.fetchval("SELECT count(*) FROM journal") == 0
