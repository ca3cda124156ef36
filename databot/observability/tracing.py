"""Traces: turn → retrieve → model → tool → connector, as OpenTelemetry spans with the GenAI conventions' names.

Everything here is a wrapper around a contract, put there by the composition root when a collector is configured, so
that without one there is nothing to pay. Attribute names are from the OpenTelemetry semantic conventions for
generative AI and for databases; texts of prompts, replies and rows are not recorded.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from databot.agents.base import AgentEvent, AgentTurn, Answered
from databot.connectors.base import (
    BaseConnector,
    CallContext,
    Connectors,
    ConnectorStatus,
    QueryLimits,
    QueryResult,
    SqlSource,
    TableInfo,
    TableName,
)
from databot.middleware.base import Respond
from databot.providers.base import LLMProvider
from databot.rag.base import Enrichment, PromptEnricher
from databot.tools.base import Effect, ToolContext, ToolResult, Toolset
from databot.types.chat import ChatChunk, ChatReply, ChatRequest, TextChunk, ToolCall, ToolSpec
from databot.types.closing import closing
from databot.types.errors import DatabotError, MissingExtra
from databot.types.events import AgentSelected
from databot.types.messages import Turn

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer


@asynccontextmanager
async def open_tracer(
    endpoint: str, *, version: str, exporter: "SpanExporter | None" = None
) -> AsyncGenerator["Tracer"]:
    """A tracer that sends to an OTLP/HTTP collector, flushed and closed at the end.

    Raises `MissingExtra` when OpenTelemetry is not installed.
    """
    import asyncio

    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtra("tracing", extra="otel") from error
    resource = Resource.create({"service.name": "databot", "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    target = exporter or OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=5)
    provider.add_span_processor(BatchSpanProcessor(target))
    try:
        yield provider.get_tracer("databot", version)
    finally:
        await asyncio.to_thread(provider.shutdown)


def failed(span: "Span", error: DatabotError) -> None:
    """Mark a span as failed by an error's type; its text may hold data and stays out."""
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", error.type)
    span.set_status(Status(StatusCode.ERROR))


def describe_answer(span: "Span", reply: ChatReply) -> None:
    """Say what a model call took and how it ended."""
    span.set_attribute("gen_ai.usage.input_tokens", reply.usage.input_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", reply.usage.output_tokens)
    span.set_attribute("gen_ai.response.finish_reasons", [reply.finish_reason])


def describe_event(span: "Span", event: AgentEvent) -> None:
    """Say who answers a turn, what it took and how it ended."""
    if isinstance(event, AgentSelected):
        span.set_attribute("gen_ai.agent.name", event.agent)
        span.update_name(f"invoke_agent {event.agent}")
    elif isinstance(event, Answered):
        span.set_attribute("gen_ai.usage.input_tokens", event.usage.input_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", event.usage.output_tokens)
        span.set_attribute("databot.finish_reason", event.finish_reason)


class TurnSpans:
    """A span around each turn; the others become its children."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    async def wrap(self, turn: AgentTurn, respond: Respond) -> AsyncIterator[AgentEvent]:
        message = turn.turn.message
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.conversation.id": message.session_id,
            "databot.turn.id": turn.turn.id,
            "databot.tenant.id": message.tenant_id,
            "databot.channel": message.channel,
        }
        with self._tracer.start_as_current_span(
            "invoke_agent",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                async with closing(respond(turn)) as events:
                    async for event in events:
                        describe_event(span, event)
                        yield event
            except DatabotError as error:
                failed(span, error)
                raise


class TracedProvider(LLMProvider):
    """A span around each model call."""

    def __init__(self, inner: LLMProvider, tracer: "Tracer") -> None:
        self._inner = inner
        self._tracer = tracer
        self.name = inner.name

    async def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self._inner.name,
            "gen_ai.request.model": request.model,
            "gen_ai.request.max_tokens": request.max_output_tokens,
        }
        span = self._tracer.start_span(f"chat {request.model}", attributes=attributes)
        try:
            async with closing(self._inner.chat_stream(request)) as stream:
                async for chunk in stream:
                    if not isinstance(chunk, TextChunk):
                        describe_answer(span, chunk)
                    yield chunk
        except DatabotError as error:
            failed(span, error)
            raise
        finally:
            span.end()

    def warm(self) -> None:
        self._inner.warm()

    async def aclose(self) -> None:
        await self._inner.aclose()


class TracedToolset:
    """A span around each tool call."""

    def __init__(self, inner: Toolset, tracer: "Tracer") -> None:
        self._inner = inner
        self._tracer = tracer

    def specs(self) -> Sequence[ToolSpec]:
        return self._inner.specs()

    def effect(self, name: str) -> Effect:
        return self._inner.effect(name)

    async def permit(self, call: ToolCall, context: ToolContext) -> None:
        await self._inner.permit(call, context)

    async def call(self, call: ToolCall, context: ToolContext) -> ToolResult:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.id,
        }
        with self._tracer.start_as_current_span(
            f"execute_tool {call.name}",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await self._inner.call(call, context)
            except DatabotError as error:
                failed(span, error)
                raise


class TracedEnricher:
    """A span around retrieval."""

    def __init__(self, inner: PromptEnricher, tracer: "Tracer") -> None:
        self._inner = inner
        self._tracer = tracer

    async def enrich_prompt(self, turn: Turn) -> Enrichment:
        with self._tracer.start_as_current_span("retrieve") as span:
            enrichment = await self._inner.enrich_prompt(turn)
            span.set_attribute("databot.passages", len(enrichment.citations))
            return enrichment


class TracedSource:
    """A span around each statement a SQL connector runs."""

    def __init__(self, inner: SqlSource, tracer: "Tracer") -> None:
        self._inner = inner
        self._tracer = tracer
        self.name = inner.name
        self.dialect = inner.dialect

    async def query(
        self, sql: str, context: CallContext, limits: QueryLimits | None = None
    ) -> QueryResult:
        with self._span("query") as span:
            try:
                result = await self._inner.query(sql, context, limits)
            except DatabotError as error:
                failed(span, error)
                raise
            span.set_attribute("db.response.returned_rows", result.table.num_rows)
            return result

    async def list_schemas(self) -> Sequence[str]:
        return await self._inner.list_schemas()

    async def list_tables(self, schema: str | None = None) -> Sequence[TableName]:
        return await self._inner.list_tables(schema)

    async def describe(self, schema: str | None = None) -> Sequence[TableInfo]:
        with self._span("describe"):
            return await self._inner.describe(schema)

    async def describe_table(self, name: str) -> TableInfo:
        return await self._inner.describe_table(name)

    async def sample(self, name: str, context: CallContext, rows: int = 5) -> QueryResult:
        with self._span("sample"):
            return await self._inner.sample(name, context, rows)

    async def explain(self, sql: str, context: CallContext) -> str:
        with self._span("explain"):
            return await self._inner.explain(sql, context)

    def _span(self, operation: str):  # noqa: ANN202 - the tracer's own context manager
        attributes = {
            "db.system.name": self._inner.dialect,
            "db.operation.name": operation,
            "databot.connector": self._inner.name,
        }
        return self._tracer.start_as_current_span(
            f"{operation} {self._inner.name}",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )


class TracedConnectors:
    """The connectors with every SQL source traced."""

    def __init__(self, inner: Connectors, tracer: "Tracer") -> None:
        self._inner = inner
        self._tracer = tracer

    def names(self) -> Sequence[str]:
        return self._inner.names()

    def get(self, name: str) -> BaseConnector:
        return self._inner.get(name)

    def sql(self) -> Mapping[str, SqlSource]:
        return {
            name: TracedSource(source, self._tracer) for name, source in self._inner.sql().items()
        }

    async def statuses(self) -> Sequence[ConnectorStatus]:
        return await self._inner.statuses()
