"""Readiness is told within seconds, whatever hangs; only what nothing can be done without may refuse it."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from databot.app import catalog
from databot.app.catalog import AppCatalog, Wired
from databot.channels.hub import ChannelHub
from databot.dispatch.base import Dispatch
from databot.rag.base import PartStatus
from databot.rag.build import RAG
from databot.storage.open import Store
from databot.testing.running import running_databot
from databot.types.clock import SystemClock
from tests.app.serving import served


class Silent:
    """Retrieval whose server takes the question and never answers; a store and a dispatch that do the same."""

    async def status(self, tenant_id: str) -> tuple[PartStatus, ...]:
        await asyncio.Event().wait()
        raise AssertionError(tenant_id)

    async def check(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(
    ("silent_store", "silent_dispatch", "status"),
    [(False, False, 200), (False, True, 200), (True, False, 503)],
)
async def test_a_part_that_hangs_is_told_as_not_ready_and_only_storage_refuses_readiness(
    monkeypatch: pytest.MonkeyPatch, silent_store: bool, silent_dispatch: bool, status: int
) -> None:
    monkeypatch.setattr(catalog, "LOOK_S", 0.05)
    silent = Silent()
    async with running_databot() as bot:
        store: Store = replace(bot.store, check=silent.check) if silent_store else bot.store
        hub = ChannelHub({}, SystemClock())
        rag = cast("RAG", silent)
        wired = Wired(
            hub=hub,
            plugins=bot.plugins,
            connectors=bot.connectors,
            store=store,
            dispatch=cast("Dispatch", silent) if silent_dispatch else bot.dispatch,
            rag=rag,
            choice=bot.choice,
        )
        services = replace(bot.services, catalog=AppCatalog({}, wired))
        async with served(services, bot.settings) as (caller,):
            answer, body = await caller.call("GET", "/readyz")
    parts = {part["name"]: part for part in body["components"]}
    assert answer == status
    assert parts["retrieval"] == {
        "name": "retrieval",
        "ready": False,
        "required": False,
        "detail": "no answer within 0.05 s",
    }
    assert parts["storage"]["ready"] is not silent_store
    assert parts["dispatch"]["ready"] is not silent_dispatch
    assert not parts["dispatch"]["required"]
    assert parts["model"]["ready"]
