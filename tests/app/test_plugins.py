"""Channels, middleware and loaders that come from plugins, in a whole databot."""

import asyncio
import logging
from pathlib import Path

import pytest

from databot.config.settings import Settings
from databot.plugins.loader import load_plugins
from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider
from databot.types.errors import ConfigError
from tests.plugins.site import Site

CHANNEL = """
import asyncio
from databot.channels.base import BaseChannel, ChannelConfig
from databot.types.messages import InboundMessage, Principal

class Config(ChannelConfig):
    port: int

class PostBox(BaseChannel):
    name = "postbox"
    Config = Config

    async def run(self, publish):
        await publish(InboundMessage(
            channel="postbox", chat_id="c", sender_id="ann", content="hello",
            principal=Principal(id="ann"), bot_id=self.config.bot_id,
        ))
        await asyncio.Event().wait()

    async def send(self, message, delivery_id):
        _, writer = await asyncio.open_connection("127.0.0.1", self.config.port)
        writer.write(message.content.encode())
        writer.close()
        await writer.wait_closed()
"""
SHOUTING = """
from dataclasses import replace
from databot.types.events import TextDelta

class Shouting:
    async def wrap(self, turn, respond):
        async for event in respond(turn):
            yield replace(event, text=event.text.upper()) if isinstance(event, TextDelta) else event
"""
LOADERS = """
class Csv:
    suffixes = frozenset({".csv"})

    def load(self, name, data):
        return "# Opening hours\\n\\n" + data.decode().replace(",", " ")

class Broken:
    def __init__(self):
        raise RuntimeError("no licence")
"""


async def test_a_channel_from_a_plugin_is_configured_and_answered(site: Site) -> None:
    site.install("acme-post", "acme_post", CHANNEL, group="databot.channels", postbox="PostBox")
    delivered: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await delivered.put(await reader.read())
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(30), await asyncio.start_server(take, "127.0.0.1", 0) as platform:
        settings = {"channels": {"postbox": {"port": platform.sockets[0].getsockname()[1]}}}
        async with running_databot(settings, provider=ScriptedProvider(["hello Ann"])) as bot:
            assert await delivered.get() == b"hello Ann"
            assert [channel.name for channel in bot.catalog.channels()] == ["channel postbox"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"prot": "25"}, r"channels\.postbox: .*unknown key 'prot'; did you mean 'port'\?"),
        ({}, r"channels\.postbox: port: field required"),
    ],
)
async def test_a_channel_with_wrong_options_is_refused_by_their_path(
    site: Site, options: dict[str, str], problem: str
) -> None:
    site.install("acme-post", "acme_post", CHANNEL, group="databot.channels", postbox="PostBox")
    with pytest.raises(ConfigError, match=problem):
        async with running_databot({"channels": {"postbox": options}}):
            pass


async def test_middleware_from_a_plugin_stands_around_every_turn(site: Site) -> None:
    group = "databot.middleware"
    site.install("acme-shout", "acme_shout", SHOUTING, group=group, shouting="Shouting")
    async with running_databot(
        {"middleware": ["shouting"]}, provider=ScriptedProvider(["hello"])
    ) as bot:
        assert (await bot.ask("hi")).content == "HELLO"


async def test_middleware_nobody_installed_is_refused_with_what_there_is(site: Site) -> None:
    group = "databot.middleware"
    site.install("acme-shout", "acme_shout", SHOUTING, group=group, shouting="Shouting")
    with pytest.raises(ConfigError, match="no 'shuoting'; there are: shouting"):
        async with running_databot({"middleware": ["shuoting"]}):
            pass


async def test_a_loader_from_a_plugin_reads_its_files_and_a_broken_one_harms_nothing(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.install(
        "acme-load", "acme_load", LOADERS, group="databot.loaders", csv="Csv", broken="Broken"
    )
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "hours.csv").write_text("monday,nine\n", encoding="utf-8")
    settings = {"rag": {"enabled": True, "sources": [str(docs)]}}
    with caplog.at_level(logging.WARNING):
        async with running_databot(settings, background=False) as bot:
            assert bot.rag is not None
            async with asyncio.timeout(60):
                assert (await bot.rag.sync("default")).added == 1
                found = await bot.rag.context.search("default", "opening hours on monday", 3)
    assert [item.chunk.source for item in found.passages] == ["docs/hours.csv"]
    lines = [record.getMessage() for record in caplog.records]
    assert "the loader broken could not be built and is left out" in lines


async def test_while_a_plugin_tool_is_broken_its_name_may_stand_in_the_configuration(
    site: Site,
) -> None:
    site.install("acme-broken", "acme_broken", "raise RuntimeError('no')", tickets="Tickets")
    settings = {"agent": {"approval_required": ["ticket_close"]}}
    async with running_databot(settings) as bot:
        failed = [item.name for item in bot.catalog.plugins() if item.state == "failed"]
        parts = {item.name: item.ready for item in await bot.catalog.components()}
    assert failed == ["tickets"]
    assert parts["plugin databot.tools:tickets"] is False


def test_a_disabled_namesake_of_a_loaded_plugin_is_told_beside_it(site: Site) -> None:
    source = "class Tool: ..."
    site.install("aaa-kept", "aaa_kept", source, shared="Tool")
    site.install("bbb-left", "bbb_left", source, shared="Tool")
    section = Settings.parse({"plugins": {"allow": ["aaa-kept"]}}).plugins
    found = load_plugins({}, allow=section.allow, disable=section.disable)
    told = {item.distribution: item.state for item in found.statuses() if item.name == "shared"}
    assert told == {"aaa-kept": "loaded", "bbb-left": "disabled"}
