"""A stored reply, held still."""

from dataclasses import fields
from decimal import Decimal

from databot.storage.codec import loads
from databot.storage.replies import decode_reply, encode_reply
from databot.types.chat import Usage
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, ToolReport

REPLY = OutboundMessage(
    channel="http",
    chat_id="c",
    content="42 [1]",
    turn_id="t",
    session_id="c:th",
    agent="sql",
    finish_reason="max_iterations_reached",
    thread_id="th",
    tenant_id="acme",
    bot_id="sales",
    tools=(ToolReport(name="sql", args={"sql": "SELECT 1", "n": 2}, ok=False, ms=1.5),),
    citations=(Citation(marker="[1]", title="T", source="s.md", quote="q", score=0.5),),
    evidence=(
        Evidence(
            connector="demo",
            statement="SELECT 1",
            rows=2,
            truncated=True,
            elapsed_ms=0.5,
            as_of="2026-01-01T00:00:00+00:00",
            columns=("a", "b"),
            sample=((1, "x"), (None, 2.5)),
            artifact_id="art_1",
            purpose="lookup",
        ),
    ),
    artifacts=(ArtifactRef(id="art_1", name="a.csv", media_type="text/csv", size=3),),
    notes=("cut",),
    usage=Usage(input_tokens=1, output_tokens=2, cost_usd=0.25),
)


def test_a_reply_survives_with_everything_that_supports_it() -> None:
    assert decode_reply(encode_reply(REPLY)) == REPLY


def test_every_field_of_a_reply_is_stored_under_its_old_name() -> None:
    stored = loads(encode_reply(REPLY))
    assert set(stored) == {field.name for field in fields(OutboundMessage)}
    assert set(stored["evidence"][0]) == {field.name for field in fields(Evidence)}
    assert stored["evidence"][0]["sample"] == [[1, "x"], [None, 2.5]]
    assert stored["tools"] == [
        {"name": "sql", "args": {"sql": "SELECT 1", "n": 2}, "ok": False, "ms": 1.5}
    ]
    assert stored["usage"] == {"input_tokens": 1, "output_tokens": 2, "cost_usd": 0.25}


def test_odd_values_in_a_sample_do_not_keep_a_reply_from_being_stored() -> None:
    odd = Evidence(
        connector="demo",
        statement="SELECT 1",
        rows=1,
        truncated=False,
        elapsed_ms=1.0,
        as_of="now",
        sample=((Decimal("0.10"), b"\xff", 10**40, "\ud800"),),
    )
    reply = OutboundMessage(
        channel="http", chat_id="c", content="x", turn_id="t", session_id="c", evidence=(odd,)
    )
    (row,) = decode_reply(encode_reply(reply)).evidence[0].sample
    assert row[0] == "0.10"
    assert row[2:] == (str(10**40), "?")
