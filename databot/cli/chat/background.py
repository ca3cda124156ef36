"""Opens the bot beside the prompt, so that the prompt is there at once.

One task enters and leaves the bot's context; others wait for `bot()`. When opening fails the error ends the task group
around it, and with it the prompt.
"""

import asyncio

from databot.cli.bot import Bot, OpenBot


class Background:
    """A bot that is being opened, is open, or is closing."""

    def __init__(self, open_bot: OpenBot) -> None:
        self._open = open_bot
        self._bot: Bot | None = None
        self._ready = asyncio.Event()
        self._begin = asyncio.Event()
        self._leave = asyncio.Event()

    async def run(self) -> None:
        """Open the bot after `begin`, hold it open until `close`."""
        await self._begin.wait()
        if self._leave.is_set():
            return
        async with self._open() as bot:
            self._bot = bot
            self._ready.set()
            await self._leave.wait()

    def begin(self) -> None:
        """Start opening: the prompt has been drawn."""
        self._begin.set()

    async def bot(self) -> Bot:
        """The open bot; waits for it."""
        self.begin()
        await self._ready.wait()
        assert self._bot is not None
        return self._bot

    def close(self) -> None:
        """Let `run` end; safe at any time."""
        self._leave.set()
        self._begin.set()
