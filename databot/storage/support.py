"""How what a step left behind is spelled in the database: reports and notes of tool calls, usage and citations."""

from collections.abc import Mapping
from typing import Any

from databot.storage.codec import chat_data, chat_message, dumps, loads
from databot.storage.replies import (
    artifact_data,
    citation_data,
    decode_evidence,
    evidence_data,
    usage_data,
)
from databot.types.chat import Usage
from databot.types.evidence import ArtifactRef, Citation
from databot.types.support import CallNote, CallReport, StepSupport


def encode_support(support: StepSupport) -> str:
    return dumps(
        {
            "agent": support.agent,
            "usage": usage_data(support.usage),
            "citations": [citation_data(citation) for citation in support.citations],
            "calls": [report_data(report) for report in support.calls],
        }
    )


def decode_support(text: str) -> StepSupport:
    data = loads(text)
    return StepSupport(
        agent=data["agent"],
        usage=Usage(**data["usage"]),
        citations=tuple(Citation(**citation) for citation in data["citations"]),
        calls=tuple(decode_report(report) for report in data["calls"]),
    )


def encode_note(note: CallNote) -> str:
    return dumps(
        {
            "call_id": note.call_id,
            "result": None if note.result is None else chat_data(note.result),
            "report": None if note.report is None else report_data(note.report),
        }
    )


def decode_note(step: int, text: str) -> CallNote:
    data = loads(text)
    return CallNote(
        step=step,
        call_id=data["call_id"],
        result=None if data["result"] is None else chat_message(data["result"]),
        report=None if data["report"] is None else decode_report(data["report"]),
    )


def report_data(report: CallReport) -> dict[str, Any]:
    return {
        "call_id": report.call_id,
        "ok": report.ok,
        "ms": report.ms,
        "summary": report.summary,
        "evidence": [evidence_data(item) for item in report.evidence],
        "artifacts": [artifact_data(ref) for ref in report.artifacts],
        "figures": report.figures,
        "figures_cut": report.figures_cut,
    }


def decode_report(data: Mapping[str, Any]) -> CallReport:
    return CallReport(
        call_id=data["call_id"],
        ok=data["ok"],
        ms=data["ms"],
        summary=data["summary"],
        evidence=tuple(decode_evidence(item) for item in data["evidence"]),
        artifacts=tuple(ArtifactRef(**ref) for ref in data["artifacts"]),
        figures=tuple(float(figure) for figure in data["figures"] if figure is not None),
        figures_cut=data["figures_cut"],
    )
