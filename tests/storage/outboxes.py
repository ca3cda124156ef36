"""A place to put replies and claim them: in each database, and in memory."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import select, update

from databot.channels.base import Outbox
from databot.storage.database import Database
from databot.storage.open import Store, open_database
from databot.storage.outbox import ENQUEUE, SqlOutbox, enqueue_params
from databot.storage.statements import fixed, same
from databot.storage.tables import inbox
from databot.storage.tables import outbox as table
from databot.testing.clock import FakeClock
from databot.testing.memory_outbox import MemoryOutbox
from databot.types.messages import OutboundMessage
from tests.storage.parts import message
from tests.storage.places import place_in

WORKER = "worker_1"
LEASES_OVER = update(table).values(lease_until=fixed("1"))
ALL_ROWS = select(
    table.c.id, table.c.state, table.c.attempts, table.c.platform_id, table.c.error
).order_by(table.c.seq, table.c.id)
Put = Callable[[OutboundMessage, int], Awaitable[None]]


@dataclass(kw_only=True)
class OutboxKit:
    """An outbox and the two things a test does around it: turns end, and time goes by."""

    outbox: Outbox
    clock: FakeClock
    put: Put
    database: Database | None = None
    store: Store | None = None
    memory: MemoryOutbox | None = None

    async def reply(
        self,
        turn_id: str,
        *,
        chat_id: str = "chat",
        channel: str = "post",
        tenant_id: str = "default",
        part: int = 0,
    ) -> str:
        """A turn of that conversation ends, and has a reply to deliver; gives its id."""
        reply = OutboundMessage(
            channel=channel,
            chat_id=chat_id,
            content=f"answer to {turn_id}",
            turn_id=turn_id,
            session_id=chat_id,
            tenant_id=tenant_id,
        )
        await self.put(reply, part)
        return f"{turn_id}:{part:06d}"

    async def leases_end(self) -> None:
        """Every lease given so far is over."""
        if self.database is None or self.database.where.startswith("SQLite"):
            self.clock.advance(self.outbox.lease_s + 1)
        else:  # there leases go by the server's own clock
            await self.database.write([(self.database.prepare(LEASES_OVER), {})])

    async def rows(self) -> list[tuple[str, str, int, str | None, str]]:
        """What is kept, in the order of the turns: id, state, attempts, the platform's id, error."""
        if self.memory is not None:
            return [
                (item.id, item.state, item.attempts, item.platform_id, item.error)
                for item in self.memory.kept.values()
            ]
        assert self.database is not None
        rows = await self.database.read(self.database.prepare(ALL_ROWS), {}, list)
        return [(row[0], row[1], row[2], row[3], row[4] or "") for row in rows]


@asynccontextmanager
async def outbox_in(
    implementation: str, request: pytest.FixtureRequest
) -> AsyncGenerator[OutboxKit]:
    clock = FakeClock()
    if implementation == "memory":
        memory = MemoryOutbox(clock)

        async def put(reply: OutboundMessage, part: int) -> None:
            memory.put(reply, part)

        yield OutboxKit(outbox=memory, clock=clock, put=put, memory=memory)
        return
    async with (
        place_in(implementation, request) as place,
        place.open() as store,
        aclosing(await open_database(place.url, exclusive=False)) as database,
    ):
        yield OutboxKit(
            outbox=SqlOutbox(database, clock),
            clock=clock,
            put=enqueuer(store, database),
            database=database,
            store=store,
        )


def enqueuer(store: Store, database: Database) -> Put:
    """What the end of a turn does, as far as it matters here: a turn that runs has a reply, whoever runs it."""
    enqueue = database.prepare(ENQUEUE)
    run = database.prepare(
        update(inbox).where(same(inbox.c.turn_id)).values(state=fixed("'running'"))
    )

    async def put(reply: OutboundMessage, part: int) -> None:
        question = message(chat_id=reply.chat_id, channel=reply.channel, tenant_id=reply.tenant_id)
        await store.inbox.ingest(reply.turn_id, question)
        params = enqueue_params(reply, fence=0, now=7_000_000, part=part)
        await database.write([(run, params), (enqueue, params)])

    return put
