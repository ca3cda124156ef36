"""Traces: turn → retrieve → model → tool → connector, in one tree, with the conventions' names."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from databot.app.traced import traced_connectors, traced_enricher, traced_provider, traced_tools
from databot.connectors.base import CallContext
from databot.connectors.registry import ConnectorRegistry
from databot.connectors.sql.connector import SQLConnector
from databot.core.context import ContextBuilder, Persona
from databot.core.loop import AgentLoop, LoopOptions
from databot.observability.tracing import TracedEnricher, TurnSpans, open_tracer
from databot.rag.base import Enrichment
from databot.testing.clock import FakeClock
from databot.testing.scripted import ScriptedProvider, calling
from databot.tools.base import ToolResult
from databot.types.errors import ProviderTimeout
from databot.types.messages import Turn
from tests.core.house import FunctionTools, open_house, said
from tests.flows.daemon import make_database


class NoPassages:
    """Retrieval that finds nothing."""

    async def enrich_prompt(self, turn: Turn) -> Enrichment:
        return Enrichment()


async def traced_turn(tmp_path: Path, provider: ScriptedProvider) -> Sequence[ReadableSpan]:
    make_database(tmp_path / "shop.db")
    options = {"shop": {"type": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}}
    registry = ConnectorRegistry.from_options(options, {"sql": SQLConnector})
    exporter = InMemorySpanExporter()
    async with open_tracer("http://127.0.0.1:1", version="0", exporter=exporter) as tracer:
        connectors = traced_connectors(registry, tracer)

        async def query(arguments: object) -> ToolResult:
            result = await connectors.sql()["shop"].query("SELECT 1 AS n", CallContext())
            return ToolResult(content=str(result.table.num_rows))

        loop = AgentLoop(
            "general",
            traced_provider(provider, tracer),
            traced_tools(FunctionTools({"query": query}), tracer),
            ContextBuilder(
                FakeClock(), budget_tokens=8_000, enricher=TracedEnricher(NoPassages(), tracer)
            ),
            options=LoopOptions(model="scripted"),
            persona=Persona(),
        )
        async with open_house(loop, middleware=[TurnSpans(tracer)]) as house:
            await house.ask(said("hello"))
    await registry.aclose()
    return exporter.get_finished_spans()


async def test_a_turn_is_one_tree_of_spans(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        spans = await traced_turn(tmp_path, ScriptedProvider([calling("query"), "done"]))
    by_id = {span.context.span_id: span for span in spans if span.context}
    parents = {span.name: by_id[span.parent.span_id].name for span in spans if span.parent}
    assert parents == {
        "retrieve": "invoke_agent",
        "chat scripted": "invoke_agent",
        "execute_tool query": "invoke_agent",
        "query shop": "execute_tool query",
    }
    root = next(span for span in spans if span.parent is None)
    assert root.attributes is not None
    assert root.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert root.attributes["gen_ai.conversation.id"] == "chat"
    assert [span.name for span in spans].count("chat scripted") == 2


async def test_a_failed_call_is_marked_by_its_type_only(tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        failing = ScriptedProvider([ProviderTimeout("sk-secret is slow")])
        spans = await traced_turn(tmp_path, failing)
    chat = next(span for span in spans if span.name == "chat scripted")
    assert chat.attributes is not None
    assert chat.attributes["error.type"] == "model_timeout"
    assert "sk-secret" not in "".join(span.to_json() for span in spans)


def test_without_a_collector_nothing_is_wrapped() -> None:
    provider, tools = ScriptedProvider([]), FunctionTools({})
    assert traced_provider(provider, None) is provider
    assert traced_tools(tools, None) is tools
    assert traced_enricher(None, None) is None
