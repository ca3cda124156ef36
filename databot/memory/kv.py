"""Bounds round key-value memory, whatever keeps it.

The implementation that lasts is databot's own store (`databot.storage`); this room neither knows nor needs it.
"""

from collections.abc import Mapping

from databot.memory.base import KeyValueMemory
from databot.types.errors import RequestError, TooLarge

MAX_KEY = 200
MAX_VALUE = 8_000
MAX_ITEMS = 500


class BoundedMemory:
    """Another memory, with bounds: a person's facts all go into prompts, so they are few and short."""

    def __init__(self, inner: KeyValueMemory) -> None:
        self._inner = inner

    async def put(self, tenant_id: str, principal_id: str, key: str, value: str) -> None:
        """Keep a fact.

        Raises:
            RequestError: the key is empty.
            TooLarge: the key or the value is too long, or there are too many facts already.
        """
        if not key.strip():
            raise RequestError("a fact needs a key")
        if len(key) > MAX_KEY:
            raise TooLarge(f"the key has {len(key)} characters; {MAX_KEY} are allowed")
        if len(value) > MAX_VALUE:
            raise TooLarge(f"the value has {len(value)} characters; {MAX_VALUE} are allowed")
        known = await self._inner.items(tenant_id, principal_id)
        if key not in known and len(known) >= MAX_ITEMS:
            raise TooLarge(f"there are {len(known)} facts already", hint="delete one first")
        await self._inner.put(tenant_id, principal_id, key, value)

    async def get(self, tenant_id: str, principal_id: str, key: str) -> str | None:
        return await self._inner.get(tenant_id, principal_id, key)

    async def items(self, tenant_id: str, principal_id: str) -> Mapping[str, str]:
        return await self._inner.items(tenant_id, principal_id)

    async def delete(self, tenant_id: str, principal_id: str, key: str) -> bool:
        return await self._inner.delete(tenant_id, principal_id, key)
