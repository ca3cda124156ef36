"""Small facts people asked databot to keep, in the table `memory`; each person of each tenant has their own."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert  # SQLite spells ON CONFLICT alike

from databot.storage.codec import dumps, loads, to_micros
from databot.storage.database import Database, Row, single
from databot.storage.names import is_name, require_name
from databot.storage.statements import same
from databot.storage.tables import memory
from databot.types.clock import Clock

SCOPE = (memory.c.tenant_id, memory.c.principal_id)
PLAIN_PUT = insert(memory)
PUT = PLAIN_PUT.on_conflict_do_update(
    index_elements=[*SCOPE, memory.c.key],
    set_={"value": PLAIN_PUT.excluded.value, "updated_at": PLAIN_PUT.excluded.updated_at},
)
GET = select(memory.c.value).where(same(*SCOPE, memory.c.key))
ITEMS = select(memory.c.key, memory.c.value).where(same(*SCOPE))
DELETE = delete(memory).where(same(*SCOPE, memory.c.key)).returning(memory.c.key)


class SqlMemory:
    """Key-value memory, in a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        prepare = database.prepare
        self._put, self._get = prepare(PUT), prepare(GET)
        self._items, self._delete = prepare(ITEMS), prepare(DELETE)

    async def put(self, tenant_id: str, principal_id: str, key: str, value: str) -> None:
        require_name("tenant", tenant_id)
        require_name("principal", principal_id)
        require_name("key", key)
        params = {
            **entry(tenant_id, principal_id, key),
            "value": dumps(value),  # JSON, because a plain text column cannot hold every text
            "updated_at": to_micros(self._clock.now()),
        }
        await self._database.write(((self._put, params),))

    async def get(self, tenant_id: str, principal_id: str, key: str) -> str | None:
        if not (is_name(tenant_id) and is_name(principal_id) and is_name(key)):
            return None
        params = entry(tenant_id, principal_id, key)
        row = await self._database.read(self._get, params, single)
        return loads(row[0]) if row else None

    async def items(self, tenant_id: str, principal_id: str) -> Mapping[str, str]:
        if not (is_name(tenant_id) and is_name(principal_id)):
            return {}
        params = {"tenant_id": tenant_id, "principal_id": principal_id}
        return await self._database.read(self._items, params, decode_items)

    async def delete(self, tenant_id: str, principal_id: str, key: str) -> bool:
        if not (is_name(tenant_id) and is_name(principal_id) and is_name(key)):
            return False
        params = entry(tenant_id, principal_id, key)
        (deleted,) = await self._database.write(((self._delete, params),))
        return bool(deleted)


def entry(tenant_id: str, principal_id: str, key: str) -> dict[str, str]:
    return {"tenant_id": tenant_id, "principal_id": principal_id, "key": key}


def decode_items(rows: Sequence[Row]) -> dict[str, str]:
    # Sorted here: databases disagree about the order of text.
    return dict(sorted((key, loads(value)) for key, value in rows))
