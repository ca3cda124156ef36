"""`/metrics` of a whole databot: what `operate.md` names is served, and what is served stands there."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from databot.app.daemon import Databot
from databot.app.figures import MOST_TENANTS, OTHER, DaemonFigures, largest
from databot.storage.figures import Durations, StoreFigures
from databot.testing.running import running_databot
from databot.types.errors import StorageUnavailable
from databot.types.messages import InboundMessage, Principal
from tests.app.serving import Caller, served

OPERATE = Path(__file__).parents[2] / "docs" / "howto" / "operate.md"
NAME = re.compile(r"databot_[a-z_]+")
TYPED = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
KEYS = [
    {"key": "operator-0123456789abcdef", "name": "ops", "roles": ["operator"]},
    {"key": "asking-0123456789abcdef", "name": "asks"},
    {"key": "other-0123456789abcdef", "name": "ops", "tenant": "acme", "roles": ["operator"]},
]


async def text_of(caller: Caller) -> str:
    headers = {"X-API-Key": caller.key} if caller.key else {}
    async with caller.http.get(caller.url + "/metrics", headers=headers) as answer:
        assert answer.status == 200
        return await answer.text()


@asynccontextmanager
async def metrics_of(bot: Databot, *keys: str, **parts: Any) -> AsyncGenerator[list[Caller]]:  # noqa: ANN401 - parts of the services
    async with served(replace(bot.services, **parts), bot.settings, *keys) as callers:
        yield callers


def value_of(text: str, series: str) -> float:
    [line] = [line for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(line.rpartition(" ")[2])


async def test_every_figure_is_documented_and_every_documented_one_is_served() -> None:
    async with running_databot(exclusive=True) as bot, metrics_of(bot) as (caller,):
        told = dict(TYPED.findall(await text_of(caller)))
    named = set(NAME.findall(OPERATE.read_text(encoding="utf-8")))
    parts = {
        f"{name}{part}" for name, kind in told.items() if kind == "histogram" for part in PARTS
    }
    assert told.keys() - named == set()
    assert named - parts == told.keys()


PARTS = ("_bucket", "_sum", "_count")


async def test_a_message_is_counted_on_its_way() -> None:
    async with running_databot(exclusive=True) as bot, metrics_of(bot) as (caller,):
        await bot.ask("hello")
        text = await text_of(caller)
    for name in ("turns_running", "claims_lost_total", "turns_resumed_total", "dead_turns"):
        assert value_of(text, f"databot_{name}") == 0
    assert value_of(text, "databot_store_up") == 1
    count = value_of(text, "databot_store_write_seconds_count")
    assert count >= 2
    assert value_of(text, 'databot_store_write_seconds_bucket{le="+Inf"}') == count


class Failing:
    """A store that counts nothing any more."""

    def commits(self) -> Durations:
        return Durations(within=(), count=3, seconds=0.5)

    async def read(self) -> StoreFigures:
        raise StorageUnavailable("the disk is full")


async def test_a_store_that_is_away_leaves_its_figures_out_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_databot(exclusive=True) as bot:
        figures = DaemonFigures(bot.machinery, replace(bot.store, figures=Failing()))  # type: ignore[arg-type] - a stand-in
        async with metrics_of(bot, figures=figures) as (caller,):
            text = await text_of(caller)
        await figures.read()
    assert value_of(text, "databot_store_up") == 0
    assert value_of(text, "databot_store_write_seconds_count") == 3
    assert value_of(text, "databot_turns_running") == 0
    for name in ("turns_waiting", "dead_turns", "outbox_waiting", "jobs_dead"):
        assert f"databot_{name}" not in text
    assert caplog.text.count("figures cannot be read: the disk is full") == 1


async def test_tenants_are_named_to_those_who_run_the_daemon_only() -> None:
    keys = {"auth": {"api_keys": KEYS}}
    async with running_databot(keys) as bot:
        for number, tenant in enumerate(("acme", "acme", 'a "quoted"\nname')):
            who = Principal(id="ada", tenant_id=tenant)
            await bot.inbox.ingest(
                f"t{number}",
                InboundMessage(
                    channel="http",
                    chat_id=f"c{number}",
                    sender_id="ada",
                    content="hi",
                    principal=who,
                    tenant_id=tenant,
                ),
            )
        secrets = [key["key"] for key in KEYS]
        async with metrics_of(bot, *map(str, secrets)) as (operator, asking, foreign, stranger):
            told = await text_of(operator)
            assert value_of(told, 'databot_turns_waiting{tenant="acme"}') == 2
            assert value_of(told, 'databot_turns_waiting{tenant="a \\"quoted\\"\\nname"}') == 1
            for caller in (asking, foreign, stranger):
                text = await text_of(caller)
                assert value_of(text, "databot_turns_waiting") == 3
                assert "acme" not in text


def test_there_are_so_many_tenants_and_no_more() -> None:
    counts = {f"t{number}": number for number in range(1, 201)}
    told = largest(counts)
    assert len(told) == MOST_TENANTS + 1
    assert sum(told.values()) == sum(counts.values())
    assert told["t200"] == 200
    assert "t1" not in told
    assert largest({OTHER: 1}) == {OTHER: 1}
