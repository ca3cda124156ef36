"""One conversation of the terminal: which session, who answers, what was said last.

It knows no screen. Views draw what `ask` yields; slash commands change what it holds.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from databot.cli.bot import Bot
from databot.cli.text import clean_input
from databot.tools.base import Approval
from databot.types.clock import Clock, Ids
from databot.types.events import (
    ApprovalRequested,
    MessageCompleted,
    StreamEvent,
    TurnFailed,
    TurnFinished,
)
from databot.types.messages import DEFAULT_TENANT, LOCAL_PRINCIPAL, OutboundMessage


@dataclass(slots=True, kw_only=True)
class Talk:
    """The state of the conversation at the terminal."""

    bot: Bot
    session_id: str
    bot_id: str = "default"
    last: OutboundMessage | None = None
    failed: bool = False
    listed: Sequence[str] = field(default_factory=tuple[str, ...])
    """Session names by the numbers `/sessions` showed them under."""
    turn_id: str | None = None
    stopping: bool = False
    waiting: Sequence[Approval] = field(default_factory=tuple[Approval, ...])
    """What a person must decide before the answer goes on."""

    def ask(self, text: str, *, key: str | None = None) -> AsyncGenerator[StreamEvent]:
        """The events of the answer. `@agent` in front chooses who answers: the engine reads it.

        Under a `key` that was used before, it is the first answer again.
        """
        self.failed = self.stopping = False
        self.turn_id = None
        return self._events(clean_input(text), key)

    async def _events(self, text: str, key: str | None) -> AsyncGenerator[StreamEvent]:
        stream = self.bot.stream(
            text, session_id=self.session_id, bot_id=self.bot_id, channel="cli", key=key
        )
        try:
            async for event in stream:
                await self.remember(event)
                yield event
        finally:
            self.turn_id = None

    async def until_asked(self, events: AsyncGenerator[StreamEvent]) -> AsyncGenerator[StreamEvent]:
        """The events of `events` up to where a person is needed; `waiting` then has what is asked.

        When that is decided, the same events go on.
        """
        self.waiting = ()
        async for event in events:
            yield event
            if isinstance(event, ApprovalRequested):
                desk = self.bot.approvals
                self.waiting = await desk.pending(LOCAL_PRINCIPAL, turn_id=event.turn_id)
                if self.waiting:
                    return

    async def remember(self, event: StreamEvent) -> None:
        if self.turn_id is None:
            self.turn_id = event.turn_id
            if self.stopping:  # asked for before the turn had a name
                await self.cancel()
        if isinstance(event, MessageCompleted | TurnFinished):
            self.last = event.message
        self.failed = self.failed or isinstance(event, TurnFailed)

    async def cancel(self) -> None:
        """Stop the running turn, or the next one as soon as it is known by name."""
        self.stopping = True
        if self.turn_id is not None:
            await self.bot.engine.cancel(DEFAULT_TENANT, self.turn_id)

    def agents(self) -> list[str]:
        """The names that may be addressed with `@`."""
        return [agent.name for agent in self.bot.catalog.agents(DEFAULT_TENANT) if agent.active]

    def switch(self, session_id: str) -> None:
        """Go on in another conversation."""
        self.session_id, self.last = session_id, None


def new_session_id(clock: Clock, ids: Ids) -> str:
    """A readable name for a new conversation, such as `cli-20260131-093000-1a2b`."""
    return f"cli-{clock.now():%Y%m%d-%H%M%S}-{ids.new('s')[-4:]}"
