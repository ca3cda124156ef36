"""What a databot says of its parts, and what `init` refuses to write."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from databot.app import catalog
from databot.app.gateway import announce
from databot.app.workspace import make_config, write_config
from databot.storage.open import HealthCheck, open_store
from databot.testing.running import running_databot
from databot.types.clock import RandomIds, SystemClock
from databot.types.errors import ConfigError, StorageUnavailable


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def full() -> str:
    raise StorageUnavailable("the disk is full", hint="make room")


@pytest.mark.parametrize(
    ("check", "detail"),
    [(never, "no answer within 0.01 s"), (full, "the disk is full (make room)")],
)
async def test_a_store_that_does_not_answer_is_not_ready_and_hides_no_other_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: HealthCheck, detail: str
) -> None:
    monkeypatch.setattr(catalog, "LOOK_S", 0.01)
    url = f"sqlite+aiosqlite:///{tmp_path / 'databot.db'}"
    async with (
        open_store(url, tmp_path, SystemClock(), RandomIds()) as store,
        running_databot(store=replace(store, check=check)) as bot,
    ):
        parts = {part.name: part for part in await bot.catalog.components()}
    assert (parts["storage"].ready, parts["storage"].detail) == (False, detail)
    assert parts["model"].ready


async def test_the_operator_is_warned_of_a_key_that_would_travel_unencrypted() -> None:
    settings = {
        "llm": {
            "model": "openai/m",
            "api_base": "http://models.example.com/v1",
            "api_key": "k" * 20,
        }
    }
    told: list[str] = []
    async with running_databot(settings) as bot:
        announce(bot, "http://127.0.0.1:1", told.append)
    notes = [line for line in told if "note: " in line]
    assert len(notes) == 1
    assert "plain http: prompts and the key are not encrypted" in notes[0]
    assert "k" * 20 not in "\n".join(told)


async def test_what_could_not_be_indexed_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"rag": {"enabled": True, "sources": [str(tmp_path / "missing")]}}
    async with running_databot(settings) as bot, asyncio.timeout(60):
        assert bot.desk is not None
        while not await bot.desk.list("default", state="done"):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    told = [record.getMessage() for record in caplog.records if record.name == "databot.app.jobs"]
    assert len(told) == 1
    assert "missing cannot be read" in told[0]


def test_a_database_url_nobody_can_read_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        make_config("postgresql://me:secret@[broken/shop")
    assert "postgresql://USER:PASSWORD@HOST" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_configuration_that_cannot_be_written_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/config\.yaml cannot be written: "):
        write_config(tmp_path / "file", "{}")
