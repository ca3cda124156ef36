"""The contract of the engine, as doors see it: accept a message, watch its turn, stop it.

Channels, the gateway, the terminal and the Python face all come through here and nowhere else.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from databot.storage.base import Accepted
from databot.types.events import StreamEvent
from databot.types.messages import InboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedEvent:
    """An event of a turn with its place in the turn's stream: 1, 2, 3 … (the `id:` of SSE)."""

    number: int
    event: StreamEvent


class Engine(Protocol):
    """Accepts messages and tells what becomes of them."""

    async def publish(self, message: InboundMessage) -> Accepted:
        """Commit the message; when this returns it will be answered.

        Raises before anything is kept: `NotFound` (bot), `RequestError` (empty, unknown agent), `TooLarge`,
        `Busy` (too much is waiting), `StorageUnavailable`.
        """
        ...

    def events(
        self, tenant_id: str, turn_id: str, *, after: int = 0
    ) -> AsyncIterator[NumberedEvent]:
        """The turn's events numbered above `after`, from the first kept one to the terminal one.

        Leaving the iterator does not stop the turn. A turn that ended long ago gives its final events from the
        journal. Raises `NotFound` at the first step.
        """
        ...

    async def cancel(self, tenant_id: str, turn_id: str) -> None:
        """Stop a turn, its model call and its queries; a turn that has ended stays as it is. Raises `NotFound`."""
        ...
