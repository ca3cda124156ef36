"""What a turn began with, as it is told later: also by a databot that is another one by then."""

from pathlib import Path
from typing import Any

from databot.app.versions import versions_of
from databot.config.settings import Settings
from databot.storage.migrate import HEAD
from databot.testing.running import running_databot
from databot.types.version import version
from tests.app.serving import served

TERSE = {"bots": {"default": {"system_prompt": "Be terse."}}}


async def asked(folder: Path, settings: dict[str, Any], *earlier: str) -> list[dict[str, Any]]:
    """Start, ask one question more, and show that turn and earlier ones."""
    async with (
        running_databot(settings, data_dir=folder) as bot,
        served(bot.services, bot.settings) as (caller,),
    ):
        reply = await bot.ask("what can you do?")
        shown = [
            await caller.call("GET", f"/api/v1/turns/{id}") for id in (reply.turn_id, *earlier)
        ]
    return [body for status, body in shown if status == 200]


async def test_a_turn_keeps_the_versions_it_began_with(tmp_path: Path) -> None:
    (first,) = await asked(tmp_path, {})
    second, still = await asked(tmp_path, TERSE, first["turn_id"])
    assert still["versions"] == first["versions"]
    assert first["versions"]["databot"] == version()
    assert first["versions"]["schema"] == HEAD
    assert first["versions"]["prompts"] != second["versions"]["prompts"]
    assert first["versions"]["config"] != second["versions"]["config"]


def test_versions_tell_configurations_apart_and_no_secrets() -> None:
    def of(key: str, model: str = "openai/m") -> dict[str, str]:
        return dict(versions_of(Settings.parse({"llm": {"model": model, "api_key": key}})))

    assert of("a") == of("b")
    assert of("a")["config"] != of("a", model="openai/n")["config"]
    assert of("a")["prompts"] == of("a", model="openai/n")["prompts"]
