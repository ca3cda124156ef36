"""The contract of turn middleware: something that stands around every turn, whatever the door.

A middleware sees the turn before the agent and everything the agent yields. It knows no channel and no store.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from databot.agents.base import AgentEvent, AgentTurn

Respond = Callable[[AgentTurn], AsyncIterator[AgentEvent]]


class TurnMiddleware(Protocol):
    """Wraps the answering of a turn."""

    def wrap(self, turn: AgentTurn, respond: Respond) -> AsyncIterator[AgentEvent]:
        """Yield what `respond(turn)` yields, changed or watched; the last event stays the only `Answered`.

        The reply is the text of the deltas: to change it, change them.
        """
        ...
