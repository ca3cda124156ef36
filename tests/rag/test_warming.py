"""The first question waits for what is just being opened, and only so long."""

import asyncio

from databot.rag import warming
from databot.rag.base import Found, Kind
from databot.rag.warming import WarmingRetriever


class Counting:
    """A retriever that finds nothing and counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def find(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Found:
        self.asked += 1
        return Found()


async def test_a_question_waits_for_the_end_of_the_warm_up() -> None:
    inner = Counting()
    retriever = WarmingRetriever(inner)
    retriever.begin()
    waiting = asyncio.ensure_future(retriever.find("t", "document", "x", 1))
    await asyncio.sleep(0)
    assert inner.asked == 0
    retriever.end()
    await asyncio.wait_for(waiting, 10)
    assert inner.asked == 1


async def test_a_warm_up_that_takes_too_long_is_waited_for_once() -> None:
    inner = Counting()
    retriever = WarmingRetriever(inner)
    patience, warming.PATIENCE_S = warming.PATIENCE_S, 0.01
    try:
        retriever.begin()
        async with asyncio.timeout(10):
            await retriever.find("t", "document", "x", 1)
            await retriever.find("t", "document", "x", 1)
    finally:
        warming.PATIENCE_S = patience
    assert inner.asked == 2
