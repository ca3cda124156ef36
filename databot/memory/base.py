"""The contract of key-value memory: small facts people asked databot to keep.

A memory is scoped to a tenant and a principal. It is written only through a tool or a command, never behind a
person's back, and never read across scopes.
"""

from collections.abc import Mapping
from typing import Protocol


class KeyValueMemory(Protocol):
    """Small facts by key, for one person of one tenant."""

    async def put(self, tenant_id: str, principal_id: str, key: str, value: str) -> None:
        """Keep `value`, replacing what the key held."""
        ...

    async def get(self, tenant_id: str, principal_id: str, key: str) -> str | None:
        """The value, or `None`."""
        ...

    async def items(self, tenant_id: str, principal_id: str) -> Mapping[str, str]:
        """All of them, in key order."""
        ...

    async def delete(self, tenant_id: str, principal_id: str, key: str) -> bool:
        """Forget the key; says whether there was one."""
        ...
