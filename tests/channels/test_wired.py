"""Channels in a whole databot: what a turn ends with leaves through the outbox, after a restart too."""

import asyncio
from pathlib import Path

import pytest

from databot.channels import outbox as worker_module
from databot.testing.channel import MemoryChannel
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider
from databot.types.errors import ProviderAuthFailed
from databot.types.messages import OutboundMessage


class Deaf(MemoryChannel):
    """Takes nothing."""

    async def send(self, message: OutboundMessage, delivery_id: str) -> str | None:
        raise TimeoutError


async def test_a_reply_and_a_failure_reach_the_person_who_asked() -> None:
    channel = MemoryChannel()
    provider = ScriptedProvider(["42", ProviderAuthFailed("the key is refused")])
    async with running_databot({}, provider=provider, channels={"memory": channel}) as bot:
        await channel.say("how many?")
        assert (await channel.next_reply()).content == "42"
        await channel.say("and now?")
        assert "I could not answer: the key is refused" in (await channel.next_reply()).content
    assert list(channel.delivered) == [f"{turn_id}:000001" for turn_id in channel.accepted[:1]] + [
        f"{turn_id}:000002" for turn_id in channel.accepted[1:]
    ]
    assert bot.store.outbox.lease_s > 0


async def test_a_reply_that_did_not_leave_is_delivered_after_the_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "SWEEP_S", 0.05)
    deaf, channel = Deaf(), MemoryChannel()
    provider = ScriptedProvider(["42"])
    async with running_databot(
        {}, data_dir=tmp_path, provider=provider, channels={"memory": deaf}
    ) as bot:
        await deaf.say("how many?")
        async with asyncio.timeout(10):
            while not await bot.store.outbox.backlog():  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(0.01)
    async with running_databot({}, data_dir=tmp_path, channels={"memory": channel}):
        assert (await channel.next_reply()).content == "42"
