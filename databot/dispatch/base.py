"""The contract of dispatch: hints between the replicas of one databot.

Everything said here may be lost, come twice or come late, and nothing is lost with it: the truth is the store's. A lost
signal is found by the sweeper, a lost event by the reader's look at the turn, a lost stop at the next renewal of leases.
So no method fails because the engine behind it is away: it logs that once, counts it and goes on trying.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from databot.types.events import StreamEvent
from databot.types.messages import ConversationKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedEvent:
    """An event of a turn with its place in the turn's stream: 1, 2, 3 … (the `id:` of SSE).

    A turn taken up after a restart goes on above every number given before, so that a reader who comes back with one
    is told everything anew, from `turn_restarted` on.
    """

    number: int
    event: StreamEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnKey:
    """Names a turn to other replicas: nothing is looked up by a turn's id alone."""

    tenant_id: str
    turn_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Somebody wants this turn stopped; whoever runs it should."""

    turn: TurnKey


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsDue:
    """There are jobs to be run; whoever has a free place should look."""


Notice = Stop | JobsDue


class Dispatch(Protocol):
    """Signals that conversations have work, and carries the events of turns to readers at other replicas."""

    shared: bool
    """Whether there may be other replicas: then a turn accepted here may run anywhere."""

    async def signal(self, conversation: ConversationKey) -> None:
        """Say that a conversation has work; one replica will take it."""
        ...

    def signals(self) -> AsyncIterator[ConversationKey]:
        """Conversations that this replica should look at, until cancelled."""
        ...

    async def announce(self, notice: Notice) -> None:
        """Tell every replica, this one too."""
        ...

    def notices(self) -> AsyncIterator[Notice]:
        """What is announced, until cancelled."""
        ...

    def tell(self, turn: TurnKey, item: NumberedEvent) -> None:
        """Pass on an event of a turn that runs here. Returns at once; what waits to be sent is bounded."""
        ...

    def listen(self, turn: TurnKey, *, after: int = 0) -> AsyncIterator[NumberedEvent]:
        """The events of a turn that runs elsewhere, as far as they are still kept, numbered above `after`.

        Ends after the terminal event; until then it waits, also for a turn nobody has begun. Whether the turn has ended
        long ago is for the caller to ask of the store.
        """
        ...

    async def check(self) -> str:
        """Which engine this is, in one line for people; raises `DispatchUnavailable` when it does not answer."""
        ...
