"""The shapes of what the API answers, as JSON Schema. They are what clients may rely on; more may be added."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {"type": "object"}
JOB_STATE: Schema = {
    "type": "string",
    "enum": ["queued", "running", "done", "failed", "dead", "cancelled"],
}
EVENT_NAMES = [
    "turn_started",
    "agent_selected",
    "text_delta",
    "tool_started",
    "tool_finished",
    "approval_requested",
    "message",
    "turn_restarted",
    "turn_finished",
    "turn_failed",
]
EVENT_STREAM: Schema = {
    "type": "object",
    "description": (
        "One event of the stream. `data` is JSON; exactly one turn_finished or turn_failed ends the stream. The opening "
        "only sets `retry`, and a comment every 15 s keeps the line open."
    ),
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": EVENT_NAMES},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    },
}


def ref(name: str) -> Schema:
    """A reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def listing(key: str, name: str) -> Schema:
    """An object with one list of named things."""
    return shape({key: many(ref(name))})


def many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def shape(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object that always has `properties` and may have `optional` ones."""
    return {
        "type": "object",
        "properties": properties | (optional or {}),
        "required": list(properties),
    }


ERROR = shape(
    {
        "error": shape(
            {"type": TEXT, "message": TEXT, "request_id": TEXT},
            {"detail": {"description": "What else is known, by type."}},
        )
    }
)
TURN_ERROR = shape({"type": TEXT, "message": TEXT})
EVIDENCE = shape(
    {
        "connector": TEXT,
        "statement": TEXT,
        "rows": WHOLE,
        "truncated": FLAG,
        "elapsed_ms": NUMBER,
        "as_of": TEXT,
        "columns": many(TEXT),
        "sample": many(many({})),
        "artifact_id": nullable(TEXT),
    },
    {"purpose": {"type": "string", "enum": ["answer", "lookup"]}},  # kept where it is no answer
)
CITATION = shape({"marker": TEXT, "title": TEXT, "source": TEXT, "quote": TEXT, "score": NUMBER})
ARTIFACT = shape({"id": TEXT, "name": TEXT, "media_type": TEXT, "size": WHOLE})
USAGE = shape({"input_tokens": WHOLE, "output_tokens": WHOLE, "cost_usd": NUMBER})
REPLY_PROPERTIES: dict[str, Schema] = {
    "reply": TEXT,
    "agent": TEXT,
    "finish_reason": TEXT,
    "tools": many(shape({"name": TEXT, "args": ANYTHING, "ok": FLAG, "ms": NUMBER})),
    "citations": many(ref("Citation")),
    "evidence": many(ref("Evidence")),
    "artifacts": many(ref("Artifact")),
    "notes": many(TEXT),
    "usage": ref("Usage"),
}
IDS: dict[str, Schema] = {"turn_id": TEXT, "session_id": TEXT}
STATES = ["queued", "running", "waiting", "done", "failed", "cancelled"]
HEALTH = shape(
    {
        "state": {"type": "string", "enum": ["ok", "degraded", "down", "unknown"]},
        "detail": TEXT,
        "latency_ms": nullable(NUMBER),
    }
)
COMPONENT = shape({"name": TEXT, "ready": FLAG, "required": FLAG}, {"detail": TEXT})

APPROVAL = shape(
    IDS
    | {
        "id": TEXT,
        "bot_id": TEXT,
        "tool": TEXT,
        "arguments": ANYTHING,
        "state": {"type": "string", "enum": ["pending", "approved", "denied", "expired"]},
        "requested_at": MOMENT,
        "expires_at": MOMENT,
        "decided_at": nullable(MOMENT),
        "decided_by": TEXT,
        "note": TEXT,
    }
)

SCHEMAS: dict[str, Schema] = {
    "Error": ERROR,
    "Evidence": EVIDENCE,
    "Citation": CITATION,
    "Artifact": ARTIFACT,
    "Usage": USAGE,
    "Reply": shape(IDS | REPLY_PROPERTIES),
    "Accepted": shape(IDS | {"events_url": TEXT, "duplicate": FLAG}),
    "Turn": shape(
        IDS
        | {
            "bot_id": TEXT,
            "state": {"type": "string", "enum": STATES},
            "accepted_at": MOMENT,
            "versions": {
                "type": "object",
                "description": "What accepted it: the program, its tables, digests of configuration and prompts.",
                "additionalProperties": TEXT,
            },
        },
        REPLY_PROPERTIES | {"error": TURN_ERROR},
    ),
    "Approval": APPROVAL,
    "Approvals": listing("approvals", "Approval"),
    "Waiting": shape(
        IDS
        | {
            "state": {"type": "string", "enum": ["waiting"]},
            "events_url": TEXT,
            "approvals": many(ref("Approval")),
        }
    ),
    "SessionSummary": shape(
        {
            "session_id": TEXT,
            "bot_id": TEXT,
            "channel": TEXT,
            "title": TEXT,
            "turns": WHOLE,
            "created_at": MOMENT,
            "updated_at": MOMENT,
        }
    ),
    "Sessions": shape(
        {"sessions": many(ref("SessionSummary")), "next_before": nullable(MOMENT)},
    ),
    "Message": shape({"role": TEXT, "content": TEXT, "turn_id": TEXT, "at": MOMENT}),
    "Session": shape({"session_id": TEXT, "bot_id": TEXT, "messages": many(ref("Message"))}),
    "Agent": shape(
        {"name": TEXT, "description": TEXT, "active": FLAG, "tools": many(TEXT), "model": TEXT}
    ),
    "Tool": shape({"name": TEXT, "description": TEXT, "parameters": ANYTHING, "effect": TEXT}),
    "Connector": shape({"name": TEXT, "type": TEXT, "health": HEALTH}),
    "Component": COMPONENT,
    "Plugin": shape(
        {
            "group": TEXT,
            "name": TEXT,
            "distribution": TEXT,
            "version": TEXT,
            "state": {"type": "string", "enum": ["loaded", "failed", "disabled"]},
            "detail": TEXT,
        }
    ),
    "Jobs": listing("jobs", "Job"),
    "Job": shape(
        {
            "id": TEXT,
            "kind": TEXT,
            "state": JOB_STATE,
            "attempts": nullable(WHOLE),
            "progress": {"anyOf": [NUMBER, TEXT, {"type": "null"}]},
            "error": nullable(TEXT),
            "created_at": MOMENT,
            "ended_at": nullable(MOMENT),
        }
    ),
    "JobAsked": shape({"id": TEXT, "state": JOB_STATE}),
    "Alive": shape({"status": TEXT}),
    "Readiness": shape(
        {"status": TEXT, "draining": FLAG, "version": TEXT, "components": many(ref("Component"))}
    ),
}
