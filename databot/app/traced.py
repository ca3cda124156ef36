"""Puts spans around the contracts when a collector is configured, and nothing at all when none is."""

from typing import TYPE_CHECKING

from databot.connectors.base import Connectors
from databot.providers.base import LLMProvider
from databot.rag.base import PromptEnricher
from databot.rag.build import RAG
from databot.tools.base import Toolset

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


def traced_connectors(connectors: Connectors, tracer: "Tracer | None") -> Connectors:
    if tracer is None:
        return connectors
    from databot.observability.tracing import TracedConnectors

    return TracedConnectors(connectors, tracer)


def traced_provider(provider: LLMProvider, tracer: "Tracer | None") -> LLMProvider:
    if tracer is None:
        return provider
    from databot.observability.tracing import TracedProvider

    return TracedProvider(provider, tracer)


def traced_enricher(rag: RAG | None, tracer: "Tracer | None") -> PromptEnricher | None:
    if rag is None or tracer is None:
        return rag.context if rag else None
    from databot.observability.tracing import TracedEnricher

    return TracedEnricher(rag.context, tracer)


def traced_tools(tools: Toolset, tracer: "Tracer | None") -> Toolset:
    if tracer is None:
        return tools
    from databot.observability.tracing import TracedToolset

    return TracedToolset(tools, tracer)
