"""The traces of a whole databot, as a real collector gets them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from databot.testing.running import running_databot
from databot.testing.scripted import ScriptedProvider, calling
from tests.flows.daemon import make_database


@dataclass(slots=True)
class Collector:
    """An OTLP collector on this machine: `spans` are the parents of each span, by name."""

    url: str = ""
    spans: dict[str, str] = field(default_factory=dict[str, str])
    attributes: dict[str, str] = field(default_factory=dict[str, str])

    async def take(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        found = [
            span
            for resource in told.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        names = {span.span_id: span.name for span in found}
        self.spans.update({span.name: names.get(span.parent_span_id, "") for span in found})
        for resource in told.resource_spans:
            for item in resource.resource.attributes:
                self.attributes[item.key] = item.value.string_value
        return web.Response()


@asynccontextmanager
async def running_collector() -> AsyncGenerator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}"
    try:
        yield collector
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_whole_turn_reaches_the_collector_as_one_tree(tmp_path: Path, slash: str) -> None:
    make_database(tmp_path / "shop.db")
    provider = ScriptedProvider([calling("sql", '{"sql": "SELECT 1 AS n"}'), "One."])
    async with asyncio.timeout(60), running_collector() as collector:
        settings = {
            "observability": {"otlp_endpoint": collector.url + slash},
            "connectors": {"shop": {"type": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}},
            "rag": {"enabled": True},
        }
        async with running_databot(settings, provider=provider, background=False) as bot:
            assert (await bot.ask("@sql say one")).content == "One."
    assert collector.spans == {
        "invoke_agent sql": "",
        "retrieve": "invoke_agent sql",
        "chat scripted": "invoke_agent sql",
        "execute_tool sql": "invoke_agent sql",
        "query shop": "execute_tool sql",
    }
    assert collector.attributes["service.name"] == "databot"


async def test_a_collector_that_is_not_there_costs_no_answer() -> None:
    settings = {"observability": {"otlp_endpoint": "http://127.0.0.1:1"}}
    async with asyncio.timeout(60):
        async with running_databot(settings, provider=ScriptedProvider(["hello"])) as bot:
            assert (await bot.ask("hi")).content == "hello"
