"""The contract of agents: anything that answers a turn.

An agent knows no channel, no storage and no bus: it is given a turn and yields what happens. `AgentLoop`,
`SpecialistAgent` and `Delegator` are all agents, so each can stand where another stood.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from databot.types.chat import ChatMessage, Usage
from databot.types.events import AgentSelected, TextDelta, ToolFinished, ToolStarted
from databot.types.evidence import Citation
from databot.types.messages import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecorded:
    """Messages that now belong to the conversation: a model answer, or the tool results that followed it.

    Yielded before any tool of that answer starts, so that whoever keeps the log has written it first.
    """

    step: int
    messages: tuple[ChatMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The agent's last word: always the last thing it yields, exactly once.

    `finish_reason` as in `OutboundMessage`. An agent that cannot answer raises a `DatabotError` instead.
    """

    text: str
    finish_reason: str
    usage: Usage
    citations: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()


AgentEvent = AgentSelected | TextDelta | ToolStarted | ToolFinished | StepRecorded | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTurn:
    """A turn as an agent sees it.

    `done` are the messages this very turn had already added when a worker before this one died, and `steps_done` how
    many steps they were.
    """

    turn: Turn
    done: Sequence[ChatMessage] = ()
    steps_done: int = 0


class Agent(Protocol):
    """Answers turns."""

    @property
    def name(self) -> str:
        """The agent's name, as people force it with `@name`."""
        ...

    def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Yield what happens while answering; the last event is always `Answered`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which agent answers, and by what rule."""

    agent: str
    reason: str


class Router(Protocol):
    """Chooses who answers."""

    async def route(self, turn: AgentTurn) -> Route:
        """The agent for this turn; never fails: when in doubt it is the general one."""
        ...
