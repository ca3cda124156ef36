"""The buffer: the last turns of a conversation, as they were."""

from collections.abc import Sequence

from databot.storage.base import Journal
from databot.types.chat import ChatMessage
from databot.types.messages import Turn


class BufferMemory:
    """Recalls the last `turns` turns; what does not fit a prompt is left out there, oldest first."""

    def __init__(self, journal: Journal, turns: int) -> None:
        self._journal = journal
        self._turns = turns

    async def recall(self, turn: Turn) -> Sequence[ChatMessage]:
        return await self._journal.history(turn.conversation, self._turns)
