"""The hub: channels run beside each other and restart alone."""

import asyncio

from databot.channels.base import BaseChannel, ChannelConfig, Publish
from databot.channels.hub import ChannelHub
from databot.testing.channel import MemoryChannel
from databot.testing.clock import START, FakeClock
from databot.types.errors import ConnectorError
from databot.types.events import MessageCompleted, TurnFailed, TurnStarted
from databot.types.messages import InboundMessage, OutboundMessage, Principal, Turn


class Failing(BaseChannel):
    """Fails at once, however often it is started."""

    name = "failing"

    def __init__(self) -> None:
        super().__init__(ChannelConfig(bot_id="default"))
        self.starts = 0
        self.restarted = asyncio.Event()

    async def run(self, publish: Publish) -> None:
        self.starts += 1
        if self.starts == 3:
            self.restarted.set()
            await asyncio.Event().wait()
        raise ConnectorError("the platform is down")

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        raise NotImplementedError


def turn_on(channel: str) -> Turn:
    message = InboundMessage(
        channel=channel, chat_id="c", sender_id="ann", content="hi", principal=Principal(id="ann")
    )
    return Turn(id="t", message=message, started_at=START)


def reply_on(channel: str) -> MessageCompleted:
    message = OutboundMessage(
        channel=channel, chat_id="c", content="hello", turn_id="t", session_id="c"
    )
    return MessageCompleted(turn_id="t", message=message)


async def test_a_failing_channel_restarts_alone_with_growing_pauses() -> None:
    failing, memory = Failing(), MemoryChannel()
    clock = FakeClock(hurried=True)
    hub = ChannelHub({"failing": failing, "memory": memory}, clock)
    published: list[str] = []

    async def publish(message: InboundMessage) -> str:
        published.append(message.content)
        return "t"

    running = asyncio.ensure_future(hub.run(publish))
    await memory.say("still here")
    await asyncio.wait_for(failing.restarted.wait(), 10)
    assert published == ["still here"]
    assert clock.slept == [1.0, 2.0]
    assert [s.state for s in hub.statuses()] == ["running", "running"]
    running.cancel()
    await asyncio.wait([running])


def test_only_what_ends_a_turn_of_a_channel_is_of_interest() -> None:
    hub = ChannelHub({"memory": MemoryChannel()}, FakeClock())
    failed = TurnFailed(turn_id="t", session_id="c", error="model_timeout", reason="no answer")
    assert hub.wants(turn_on("memory"), reply_on("memory"))
    assert hub.wants(turn_on("memory"), failed)
    assert not hub.wants(turn_on("http"), reply_on("http"))
    assert not hub.wants(turn_on("memory"), TurnStarted(turn_id="t", session_id="c"))


class Script(BaseChannel):
    """Lives as long as each entry says, in seconds of the clock, and ends the way it says."""

    name = "script"

    def __init__(self, clock: FakeClock, *lives: tuple[float, Exception | None]) -> None:
        super().__init__(ChannelConfig(bot_id="default"))
        self.clock = clock
        self.lives = list(lives)
        self.over = asyncio.Event()

    async def run(self, publish: Publish) -> None:
        if not self.lives:
            self.over.set()
            await asyncio.Event().wait()
        seconds, error = self.lives.pop(0)
        self.clock.advance(seconds)
        if error is not None:
            raise error

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        raise NotImplementedError


async def lived(clock: FakeClock, channel: Script) -> list[str]:
    """Run the channel through its script; gives what the hub said of it at each pause."""
    hub = ChannelHub({"script": channel}, clock)

    async def publish(message: InboundMessage) -> str:
        raise NotImplementedError

    told: list[str] = []
    running = asyncio.ensure_future(hub.run(publish))
    over = asyncio.ensure_future(channel.over.wait())
    async with asyncio.timeout(10):
        while not over.done():
            (status,) = hub.statuses()
            if status.state == "restarting" and status.detail not in told[-1:]:
                told.append(status.detail)
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    return told


async def test_a_channel_that_ends_or_crashes_is_started_again_and_its_error_is_not_shown() -> None:
    clock = FakeClock(hurried=True)
    channel = Script(clock, (0, None), (0, ZeroDivisionError("token sk-secret")))
    told = await lived(clock, channel)
    assert told[0] == "it ended by itself"
    assert "sk-secret" not in "".join(told)
    assert clock.slept == [1.0, 2.0]


async def test_after_a_long_good_run_the_pauses_begin_small_again() -> None:
    clock = FakeClock(hurried=True)
    down = ConnectorError("the platform is down")
    await lived(clock, Script(clock, (0, down), (0, down), (3600, down), (0, down)))
    assert clock.slept == [1.0, 2.0, 1.0, 2.0]


def test_a_channel_that_says_nothing_of_itself_can_do_the_least() -> None:
    able = MemoryChannel().capabilities()
    assert (able.streaming, able.threads, able.files) == (False, False, False)
    assert ChannelHub({"memory": MemoryChannel()}, FakeClock()).names() == ["memory"]


async def test_a_channel_that_something_cancels_starts_again() -> None:
    class Cancelled(MemoryChannel):
        starts = 0
        again = asyncio.Event()

        async def run(self, publish: Publish) -> None:
            self.starts += 1
            if self.starts == 1:
                raise asyncio.CancelledError
            self.again.set()
            await super().run(publish)

    channel = Cancelled()
    hub = ChannelHub({"memory": channel}, FakeClock(hurried=True))
    running = asyncio.ensure_future(hub.run(nobody))
    await asyncio.wait_for(channel.again.wait(), 10)
    assert [s.state for s in hub.statuses()] == ["running"]
    running.cancel()
    await asyncio.wait([running])


async def nobody(message: InboundMessage) -> str:
    return message.content
