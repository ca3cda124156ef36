"""A retriever that lets the first question wait a moment for what is just being opened.

A command that answers one question would otherwise always search before the embedding model is loaded.
"""

import asyncio

from databot.rag.base import Found, Kind, Retriever

PATIENCE_S = 2.0


class WarmingRetriever:
    """Waits, once and for at most `PATIENCE_S`, while a warm-up is going on; else it only passes on."""

    def __init__(self, inner: Retriever) -> None:
        self._inner = inner
        self._warm: asyncio.Event | None = None

    def begin(self) -> None:
        """A warm-up has begun."""
        self._warm = asyncio.Event()

    def end(self) -> None:
        """It is over, however it went."""
        if self._warm is not None:
            self._warm.set()

    async def find(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Found:
        if self._warm is not None:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._warm.wait()
            except TimeoutError:
                pass
            self._warm = None
        return await self._inner.find(tenant_id, kind, query, top_k)
