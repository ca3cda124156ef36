"""Events on the wire: the names and shapes of the contract, as plain JSON."""

import json

from databot.types.chat import Usage
from databot.types.events import (
    MessageCompleted,
    TextDelta,
    ToolFinished,
    TurnFailed,
    TurnFinished,
    payload,
)
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, ToolReport

EVIDENCE = Evidence(
    connector="w",
    statement="SELECT 1",
    rows=1,
    truncated=False,
    elapsed_ms=1.5,
    as_of="2026-01-01T00:00:00+00:00",
    columns=("n",),
    sample=((1,),),
)
REPLY = OutboundMessage(
    channel="http",
    chat_id="c",
    content="One.",
    turn_id="t",
    session_id="c",
    agent="sql",
    tools=(ToolReport(name="sql", args={"sql": "SELECT 1"}, ok=True, ms=2.0),),
    citations=(Citation(marker="[1]", title="T", source="t.md", quote="q", score=0.5),),
    evidence=(EVIDENCE,),
    artifacts=(ArtifactRef(id="a", name="x.csv", media_type="text/csv", size=3),),
    notes=("careful",),
    usage=Usage(input_tokens=3, output_tokens=2, cost_usd=0.1),
)


def test_a_reply_has_the_keys_of_the_contract() -> None:
    for event in (
        MessageCompleted(turn_id="t", message=REPLY),
        TurnFinished(turn_id="t", message=REPLY),
    ):
        data = json.loads(json.dumps(payload(event)))
        assert data["reply"] == "One."
        assert data["session_id"] == "c"
        assert data["tools"] == [
            {"name": "sql", "args": {"sql": "SELECT 1"}, "ok": True, "ms": 2.0}
        ]
        assert data["usage"] == {"input_tokens": 3, "output_tokens": 2, "cost_usd": 0.1}
        assert data["evidence"][0]["sample"] == [[1]]
        assert data["citations"][0]["source"] == "t.md"
        assert data["artifacts"][0]["id"] == "a"


def test_a_tool_event_spells_out_its_evidence() -> None:
    event = ToolFinished(
        turn_id="t", call_id="c", tool="sql", ok=True, ms=1.0, summary="1 row", evidence=(EVIDENCE,)
    )
    data = json.loads(json.dumps(payload(event)))
    assert data["evidence"][0]["connector"] == "w"
    assert data["artifacts"] == []


def test_the_other_events_are_their_fields() -> None:
    assert payload(TextDelta(turn_id="t", text="x")) == {"turn_id": "t", "text": "x"}
    failed = TurnFailed(turn_id="t", session_id="s", error="busy", reason="later")
    assert payload(failed)["error"] == {"type": "busy", "message": "later"}
