"""Messages put in order: our bus and dispatcher beside a bare `asyncio.Queue`, with no store and no work."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import cast

from benchmarks.engines import AtOnce
from benchmarks.figures import Figure, at_most
from benchmarks.measure import Case, Scale, cpu_us, interleaved
from databot.core.backlog import Backlog, DispatchLimits
from databot.core.bus import MessageBus
from databot.core.dispatcher import Dispatcher
from databot.core.supervisor import Supervisor
from databot.dispatch.memory import MemoryDispatch
from databot.storage.base import Inbox
from databot.types.clock import RandomIds
from databot.types.messages import LOCAL_PRINCIPAL, ConversationKey, InboundMessage


def message(conversation: int, number: int) -> InboundMessage:
    return InboundMessage(
        channel="bench",
        chat_id=f"s{conversation}",
        sender_id="local",
        content=str(number),
        principal=LOCAL_PRINCIPAL,
    )


class Order:
    """Sees that each conversation's messages come in the order they were sent."""

    def __init__(self, expected: int) -> None:
        self.reordered = 0
        self.done = asyncio.Event()
        self._left = expected
        self._next: defaultdict[str, int] = defaultdict(int)

    def saw(self, waiting: InboundMessage) -> None:
        number = int(waiting.content)
        self.reordered += number != self._next[waiting.chat_id]
        self._next[waiting.chat_id] = number + 1
        self._left -= 1
        if not self._left:
            self.done.set()


def messages(conversations: int, count: int) -> list[InboundMessage]:
    """`count` messages that take turns among the conversations."""
    return [message(n % conversations, n // conversations) for n in range(count)]


async def through_our_bus(sent: Sequence[InboundMessage]) -> None:
    """Publish all, and wait until all have had their turn."""
    order, kept, dispatch = Order(len(sent)), AtOnce(), MemoryDispatch()
    backlog = Backlog(DispatchLimits(max_waiting=len(sent) + 1))

    async def work(conversation: ConversationKey, found: bool) -> bool:
        del found
        message, more = kept.next(conversation)
        order.saw(message)
        return more

    async with Supervisor() as supervisor:
        dispatcher = Dispatcher(work, supervisor)

        async def take_signals() -> None:
            async for conversation in dispatch.signals():
                dispatcher.signal(conversation)

        bus = MessageBus(cast("Inbox", kept), dispatch, RandomIds(), supervisor)
        signals = supervisor.spawn(take_signals(), name="signals")
        for each in sent:
            with backlog.reserve(each):
                await bus.publish(each)
        async with asyncio.timeout(60):
            await order.done.wait()
        signals.cancel()
        await dispatcher.drain()
    if order.reordered:
        raise RuntimeError(f"{order.reordered} messages came out of order")


async def through_a_queue(sent: Sequence[InboundMessage]) -> None:
    """One queue, one reader: order for nothing, and nothing side by side."""
    order = Order(len(sent))
    queue: asyncio.Queue[InboundMessage] = asyncio.Queue()

    async def read() -> None:
        for _ in sent:
            order.saw(await queue.get())

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        for each in sent:
            await queue.put(each)


async def bus_dispatch(scale: Scale) -> Sequence[Figure]:
    """A message published and given its turn in its conversation's lane."""
    figures: list[Figure] = []
    for conversations in (100, 10_000):
        sent = messages(conversations, scale.count(40_000, 10_000))

        def ours(sent: Sequence[InboundMessage] = sent) -> Case:
            return lambda: cpu_us(len(sent), lambda: through_our_bus(sent))

        def theirs(sent: Sequence[InboundMessage] = sent) -> Case:
            return lambda: cpu_us(len(sent), lambda: through_a_queue(sent))

        found = await interleaved({"ours": ours(), "queue": theirs()}, scale.rounds)
        figures.append(
            Figure(
                row="bus_dispatch",
                what=f"message, {conversations:,} conversations",
                value=found.value("ours"),
                unit="us CPU",
                baseline=found.value("queue"),
                against="asyncio.Queue",
                ratio=found.ratio("ours", "queue"),
                target=at_most(3 if conversations == 100 else 8),
                note=f"{1e6 / found.value('ours'):,.0f}/s of a core, 0 out of order",
            )
        )
    return figures
