"""The contracts of memory: small facts people asked databot to keep, and what a prompt is told of earlier turns.

Facts are scoped to a tenant and a principal. They are written only through a tool or a command, never behind a
person's back, and never read across scopes.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from databot.types.chat import ChatMessage
from databot.types.messages import Turn


class ConversationMemory(Protocol):
    """What the model is told of a conversation's earlier turns.

    A plugin of the group `databot.memory` is a class of these, built with the conversation's `Journal` and the number
    of turns the configuration asks for; `memory.strategy` names it.
    """

    async def recall(self, turn: Turn) -> Sequence[ChatMessage]:
        """Messages to stand before this turn's question, oldest first, every tool call with its result."""
        ...


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
