"""How a reply is spelled in the database: the half of `codec` that knows evidence, citations and artifacts."""

from typing import Any

from databot.storage.codec import dumps, loads
from databot.types.chat import Usage
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, ToolReport


def encode_reply(reply: OutboundMessage) -> str:
    return dumps(
        {
            "channel": reply.channel,
            "chat_id": reply.chat_id,
            "content": reply.content,
            "turn_id": reply.turn_id,
            "session_id": reply.session_id,
            "agent": reply.agent,
            "finish_reason": reply.finish_reason,
            "thread_id": reply.thread_id,
            "tenant_id": reply.tenant_id,
            "bot_id": reply.bot_id,
            "tools": [
                {"name": t.name, "args": dict(t.args), "ok": t.ok, "ms": t.ms} for t in reply.tools
            ],
            "citations": [citation_data(citation) for citation in reply.citations],
            "evidence": [evidence_data(item) for item in reply.evidence],
            "artifacts": [artifact_data(ref) for ref in reply.artifacts],
            "notes": list(reply.notes),
            "usage": usage_data(reply.usage),
        }
    )


def decode_reply(text: str) -> OutboundMessage:
    data = loads(text)
    return OutboundMessage(
        channel=data["channel"],
        chat_id=data["chat_id"],
        content=data["content"],
        turn_id=data["turn_id"],
        session_id=data["session_id"],
        agent=data["agent"],
        finish_reason=data["finish_reason"],
        thread_id=data["thread_id"],
        tenant_id=data["tenant_id"],
        bot_id=data["bot_id"],
        tools=tuple(ToolReport(**report) for report in data["tools"]),
        citations=tuple(Citation(**citation) for citation in data["citations"]),
        evidence=tuple(decode_evidence(item) for item in data["evidence"]),
        artifacts=tuple(ArtifactRef(**ref) for ref in data["artifacts"]),
        notes=tuple(data["notes"]),
        usage=Usage(**data["usage"]),
    )


def citation_data(citation: Citation) -> dict[str, Any]:
    return {
        "marker": citation.marker,
        "title": citation.title,
        "source": citation.source,
        "quote": citation.quote,
        "score": citation.score,
    }


def evidence_data(item: Evidence) -> dict[str, Any]:
    data = {
        "connector": item.connector,
        "statement": item.statement,
        "rows": item.rows,
        "truncated": item.truncated,
        "elapsed_ms": item.elapsed_ms,
        "as_of": item.as_of,
        "columns": list(item.columns),
        "sample": [list(row) for row in item.sample],
        "artifact_id": item.artifact_id,
    }
    return data if item.purpose == "answer" else data | {"purpose": item.purpose}


def decode_evidence(data: dict[str, Any]) -> Evidence:
    columns = tuple(data.pop("columns"))
    sample = tuple(tuple(row) for row in data.pop("sample"))
    return Evidence(columns=columns, sample=sample, **data)


def artifact_data(ref: ArtifactRef) -> dict[str, Any]:
    return {"id": ref.id, "name": ref.name, "media_type": ref.media_type, "size": ref.size}


def usage_data(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
    }
