"""What stands under an answer: evidence, sources, files, remarks. Pure functions from values to lines."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from databot.cli.text import cell, duration, file_size, plural, safe
from databot.types.errors import DatabotError, shorten
from databot.types.events import ToolFinished, TurnFailed
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage

POINTER = "▸"


def footer(message: OutboundMessage) -> list[str]:
    """The short form, one line a thing; what was only looked up on the way is left to the long one."""
    lines = [evidence_line(item) for item in message.evidence if item.purpose == "answer"]
    lines += [artifact_line(item) for item in message.artifacts]
    if message.citations:
        lines.append(f"{POINTER} read: {', '.join(sources(message.citations))}")
    if message.finish_reason != "completed":
        lines.append(f"! ended early: {message.finish_reason.replace('_', ' ')}")
    return lines + [f"! {note}" for note in message.notes]


def evidence_line(item: Evidence) -> str:
    """`▸ warehouse · 5 rows · 12 ms · as of 2026-01-31 09:30 UTC`."""
    looked_up = ["lookup"] if item.purpose == "lookup" else []
    parts = [item.connector, *looked_up, plural(item.rows, "row")]
    if item.truncated:
        parts.append("more rows exist")
    parts += [duration(item.elapsed_ms), f"as of {as_of(item.as_of)}"]
    return f"{POINTER} " + " · ".join(parts)


def as_of(text: str) -> str:
    """An ISO time as people read it; an unreadable one stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".rstrip()


def artifact_line(item: ArtifactRef) -> str:
    return f"{file_line(item.name, item.size)} · {item.id}"


def file_line(name: str, size: int) -> str:
    return f"{POINTER} file {name} · {file_size(size)}"


def sources(citations: tuple[Citation, ...]) -> list[str]:
    """Each cited source once, with its markers."""
    return [f"{citation.marker} {citation.source}" for citation in citations]


def full_evidence(message: OutboundMessage) -> Iterator[tuple[str, str]]:
    """The long form as (kind, text) pairs, the kind being line, sql or quote."""
    for item in message.evidence:
        yield "line", evidence_line(item)
        yield "sql", safe(item.statement)
        for row in item.sample:
            yield "quote", " | ".join(cell(value) for value in row)
    for citation in message.citations:
        yield "line", f"{POINTER} {citation.marker} {citation.title} · {citation.source}"
        yield "quote", shorten(" ".join(citation.quote.split()), 300)
    for tool in message.tools:
        state = "ok" if tool.ok else "failed"
        yield "line", f"{POINTER} tool {tool.name} · {state} · {duration(tool.ms)}"


def failure_line(event: TurnFailed, log: str) -> str:
    """Why there is no answer; for what only the log can explain, where the log is."""
    reason = " ".join(event.reason.split())
    return f"{reason} ({log})" if log and event.error == DatabotError.type else reason


def tool_label(tool: str, args: Mapping[str, Any]) -> str:
    """A running tool in a few words: its name, and its first textual argument."""
    hint = next((value for value in args.values() if isinstance(value, str)), "")
    return f"{tool}: {shorten(' '.join(safe(hint).split()), 60)}" if hint else tool


def finished_tool(event: ToolFinished, label: str) -> str:
    """`✓ sql: SELECT … · 12 ms — 2 rows`; a summary of several lines is a chart and stands elsewhere."""
    head = f"{'✓' if event.ok else '✗'} {label} · {duration(event.ms)}"
    return f"{head} — {event.summary}" if event.summary and not chart_of(event) else head


def chart_of(event: ToolFinished) -> str:
    """The chart a tool drew as text; empty when it drew none."""
    return event.summary if event.ok and "\n" in event.summary.strip() else ""


def untold(charts: Sequence[str], reply: str) -> list[str]:
    """The charts that the reply does not repeat itself, whatever it changed in their spacing."""
    told = "".join(reply.split())
    return [chart for chart in charts if "".join(chart.split()) not in told]
