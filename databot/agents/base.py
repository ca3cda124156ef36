"""The contract of agents: anything that answers a turn.

An agent knows no channel, no storage and no bus: it is given a turn and yields what happens. `AgentLoop` and
`Delegator` are both agents, so each can stand where the other stood.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from databot.types.chat import ChatMessage, ToolCall, Usage
from databot.types.events import AgentSelected, TextDelta, ToolFinished, ToolStarted
from databot.types.evidence import Citation
from databot.types.messages import Turn
from databot.types.support import NO_SUPPORT, CallNote, StepSupport


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecorded:
    """Messages that now belong to the conversation: a model answer, or the tool results that followed it.

    Yielded before any tool of that answer starts, so that whoever keeps the log has written it first. `support` is
    kept with them, for a worker that goes on from here.
    """

    step: int
    messages: tuple[ChatMessage, ...]
    support: StepSupport = NO_SUPPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNoted:
    """A tool that changes something is about to be called, or was.

    Whoever keeps the log has written it before the next event is asked for, and so before the call is made.
    """

    note: CallNote


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsNeeded:
    """The turn cannot go on without a person: the last thing an agent yields, in place of `Answered`.

    The turn is taken up again from its log when the calls have been decided on.
    """

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The agent's last word: always the last thing it yields, exactly once, when nobody else is needed first.

    `finish_reason` as in `OutboundMessage`. An agent that cannot answer raises a `DatabotError` instead.
    """

    text: str
    finish_reason: str
    usage: Usage
    citations: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()


AgentEvent = (
    AgentSelected
    | TextDelta
    | ToolStarted
    | ToolFinished
    | StepRecorded
    | CallNoted
    | ApprovalsNeeded
    | Answered
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTurn:
    """A turn as an agent sees it.

    `done` are the messages this very turn had already added when a worker before this one died, `steps_done` how
    many steps they were, `kept` what each of them left behind, and `notes` what is known of its last calls. `used` are model calls made for this turn outside
    of its steps, such as the choice of who answers: they belong to its cost.
    """

    turn: Turn
    done: Sequence[ChatMessage] = ()
    steps_done: int = 0
    kept: Sequence[StepSupport] = ()
    notes: Sequence[CallNote] = ()
    used: Usage = field(default_factory=Usage)

    @property
    def agent_before(self) -> str:
        """Who had begun to answer when a worker before this one died; empty when nobody had."""
        return next((support.agent for support in self.kept if support.agent), "")

    @property
    def used_before(self) -> Usage:
        """What the turn had used when its last step was recorded, and what was used outside of its steps since."""
        return (self.kept[-1].usage if self.kept else Usage()) + self.used


class Agent(Protocol):
    """Answers turns."""

    @property
    def name(self) -> str:
        """The agent's name, as people force it with `@name`."""
        ...

    def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Yield what happens while answering; the last event is `Answered`, or `ApprovalsNeeded`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which agent answers, and by what rule; `usage` is what asking a model for it took."""

    agent: str
    reason: str
    usage: Usage = field(default_factory=Usage)


class Router(Protocol):
    """Chooses who answers."""

    async def route(self, turn: AgentTurn) -> Route:
        """The agent for this turn; never fails: when in doubt it is the general one."""
        ...
