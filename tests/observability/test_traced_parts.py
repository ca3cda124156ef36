"""Each traced part does what the part inside does, and marks what failed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer

from databot.agents.base import AgentEvent, AgentTurn, Answered
from databot.app.traced import traced_connectors, traced_provider, traced_tools
from databot.connectors.base import CallContext, Connectors
from databot.connectors.registry import ConnectorRegistry
from databot.connectors.sql.connector import SQLConnector
from databot.observability.tracing import TurnSpans, open_tracer
from databot.testing.clock import START
from databot.testing.scripted import ScriptedProvider
from databot.tools.base import Effect, ToolContext, ToolResult
from databot.types.chat import ChatMessage, ChatRequest, TextChunk, ToolCall, Usage
from databot.types.closing import closing
from databot.types.errors import ConnectorError, DatabotError, ToolError
from databot.types.events import AgentSelected
from databot.types.messages import LOCAL_PRINCIPAL, ConversationKey, Turn
from tests.core.house import FunctionTools, said
from tests.flows.daemon import make_database

REQUEST = ChatRequest(model="m", messages=(ChatMessage(role="user", content="hi"),))
CONTEXT = ToolContext(
    conversation=ConversationKey(tenant_id="default", bot_id="default", session_id="s"),
    principal=LOCAL_PRINCIPAL,
    turn_id="t",
    call_id="c",
)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@asynccontextmanager
async def opened(spans: InMemorySpanExporter) -> AsyncGenerator[Tracer]:
    async with asyncio.timeout(30):
        async with open_tracer("http://127.0.0.1:1", version="0", exporter=spans) as tracer:
            yield tracer


def told(spans: InMemorySpanExporter) -> dict[str, tuple[object, StatusCode]]:
    """The error type and the status of each span, by name."""
    return {
        span.name: ((span.attributes or {}).get("error.type"), span.status.status_code)
        for span in spans.get_finished_spans()
    }


@asynccontextmanager
async def traced_shop(tmp_path: Path, tracer: Tracer) -> AsyncGenerator[Connectors]:
    make_database(tmp_path / "shop.db")
    options = {"shop": {"type": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}}
    registry = ConnectorRegistry.from_options(options, {"sql": SQLConnector})
    try:
        yield traced_connectors(registry, tracer)
    finally:
        await registry.aclose()


async def test_a_traced_database_answers_as_it_did_and_each_look_is_a_span(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    async with opened(spans) as tracer, traced_shop(tmp_path, tracer) as connectors:
        assert list(connectors.names()) == ["shop"]
        assert connectors.get("shop").name == "shop"
        assert [status.name for status in await connectors.statuses()] == ["shop"]
        shop = connectors.sql()["shop"]
        assert (shop.name, shop.dialect) == ("shop", "sqlite")
        assert list(await shop.list_schemas()) == []
        assert [table.name for table in await shop.list_tables()] == ["customers", "orders"]
        assert len(await shop.describe()) == 2
        assert (await shop.describe_table("orders")).columns[0].name == "id"
        assert (await shop.sample("orders", CallContext(), rows=2)).table.num_rows == 2
        assert "orders" in await shop.explain("SELECT * FROM orders", CallContext())
    assert set(told(spans)) == {"describe shop", "sample shop", "explain shop"}


async def test_a_statement_that_fails_is_marked_by_its_type_and_fails_as_before(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    async with opened(spans) as tracer, traced_shop(tmp_path, tracer) as connectors:
        with pytest.raises(ConnectorError, match="no such table"):
            await connectors.sql()["shop"].query("SELECT * FROM secret_name", CallContext())
    assert told(spans) == {"query shop": ("connector_error", StatusCode.ERROR)}
    assert all(span.events == () for span in spans.get_finished_spans())


async def test_a_tool_that_fails_is_marked_by_its_type_and_fails_as_before(
    spans: InMemorySpanExporter,
) -> None:
    async def refuse(arguments: object) -> ToolResult:
        raise ToolError("4000 is what Ann earns")

    async with opened(spans) as tracer:
        inner = FunctionTools({"refuse": refuse})
        tools = traced_tools(inner, tracer)
        assert tools.specs() == inner.specs()
        assert tools.effect("refuse") is Effect.READ
        with pytest.raises(ToolError, match="4000"):
            await tools.call(ToolCall(id="c", name="refuse", arguments="{}"), CONTEXT)
    assert told(spans) == {"execute_tool refuse": ("tool_error", StatusCode.ERROR)}
    assert "4000" not in "".join(span.to_json() for span in spans.get_finished_spans())


class Opened(ScriptedProvider):
    """Remembers whether it was warmed up and closed."""

    warmed = False
    shut = False

    def warm(self) -> None:
        self.warmed = True

    async def aclose(self) -> None:
        self.shut = True


async def test_a_traced_model_is_warmed_up_and_closed_like_the_one_inside(
    spans: InMemorySpanExporter,
) -> None:
    inner = Opened()
    async with opened(spans) as tracer:
        provider = traced_provider(inner, tracer)
        provider.warm()
        await provider.aclose()
    assert (provider.name, inner.warmed, inner.shut) == ("scripted", True, True)


async def test_leaving_a_traced_answer_early_ends_the_call_at_once(
    spans: InMemorySpanExporter,
) -> None:
    inner = ScriptedProvider(["one two three"])
    async with opened(spans) as tracer:
        async with closing(traced_provider(inner, tracer).chat_stream(REQUEST)) as stream:
            async for chunk in stream:
                assert chunk == TextChunk("one ")
                break
        assert (inner.closed, inner.active) == (1, 0)
    assert told(spans) == {"chat m": (None, StatusCode.UNSET)}


class Answering:
    """Answers as the sql agent, or fails; says whether it was closed."""

    def __init__(self, error: DatabotError | None = None) -> None:
        self.error = error
        self.closed = False

    async def respond(self, turn: AgentTurn) -> AsyncGenerator[AgentEvent]:
        try:
            yield AgentSelected(turn_id=turn.turn.id, agent="sql", reason="a rule")
            if self.error is not None:
                raise self.error
            yield Answered(text="6", finish_reason="completed", usage=Usage(input_tokens=7))
        finally:
            self.closed = True


TURN = AgentTurn(turn=Turn(id="t", message=said("how many?"), started_at=START))


async def test_a_turns_span_is_named_for_its_agent_and_tells_what_it_took(
    spans: InMemorySpanExporter,
) -> None:
    async with opened(spans) as tracer:
        events = [event async for event in TurnSpans(tracer).wrap(TURN, Answering().respond)]
    assert len(events) == 2
    (span,) = spans.get_finished_spans()
    assert span.name == "invoke_agent sql"
    assert span.attributes is not None
    assert span.attributes["gen_ai.agent.name"] == "sql"
    assert span.attributes["gen_ai.usage.input_tokens"] == 7
    assert span.attributes["databot.finish_reason"] == "completed"


async def test_a_turn_that_fails_is_marked_and_fails_as_before(
    spans: InMemorySpanExporter,
) -> None:
    async with opened(spans) as tracer:
        with pytest.raises(ToolError):
            async for _ in TurnSpans(tracer).wrap(TURN, Answering(ToolError("no")).respond):
                pass
    assert told(spans) == {"invoke_agent sql": ("tool_error", StatusCode.ERROR)}


async def test_leaving_a_traced_turn_early_ends_the_agent_at_once(
    spans: InMemorySpanExporter,
) -> None:
    agent = Answering()
    async with opened(spans) as tracer:
        async with closing(TurnSpans(tracer).wrap(TURN, agent.respond)) as events:
            async for _ in events:
                break
        assert agent.closed
