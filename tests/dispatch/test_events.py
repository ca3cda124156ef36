"""Events come out of another replica as they went in."""

import logging
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databot.dispatch.events import UNREADABLE, Reader, decode_event, encode_event
from databot.types.chat import Usage
from databot.types.events import StreamEvent, TextDelta, ToolFinished, ToolStarted
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.messages import OutboundMessage, ToolReport

TEXT = st.text(st.characters())  # half characters too
FLOATS = st.floats(allow_nan=False)
CELLS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | FLOATS
    | TEXT
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.just(UTC)).map(lambda at: at.replace(fold=0))
    | st.dates()
    | st.times().map(lambda at: at.replace(fold=0))
    | st.timedeltas()
    | st.binary()
)
VALUES = st.recursive(
    CELLS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(TEXT | st.just("$") | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(TEXT | st.just("$"), VALUES, max_size=4)
EVIDENCE = st.builds(
    Evidence,
    elapsed_ms=FLOATS,
    columns=st.lists(TEXT, max_size=2).map(tuple),
    sample=st.lists(st.lists(VALUES, max_size=3).map(tuple), max_size=3).map(tuple),
)
REPORTS = st.builds(ToolReport, args=ARGUMENTS, name=TEXT, ms=FLOATS)
MESSAGES = st.builds(
    OutboundMessage,
    content=TEXT,
    tools=st.lists(REPORTS, max_size=2).map(tuple),
    evidence=st.lists(EVIDENCE, max_size=2).map(tuple),
    citations=st.lists(st.builds(Citation, quote=TEXT, score=FLOATS), max_size=2).map(tuple),
    artifacts=st.lists(st.builds(ArtifactRef, name=TEXT), max_size=2).map(tuple),
    notes=st.lists(TEXT, max_size=2).map(tuple),
    usage=st.builds(Usage, cost_usd=FLOATS),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "args": ARGUMENTS,
    "evidence": st.lists(EVIDENCE, max_size=2).map(tuple),
    "message": MESSAGES,
    "ms": FLOATS,
    "text": TEXT,
    "turn_id": TEXT,
    "reason": TEXT,
}


def events_of(kind: type) -> st.SearchStrategy[StreamEvent]:
    names = {field.name for field in fields(kind)}
    return st.builds(kind, **{name: made for name, made in FIELDS.items() if name in names})


@pytest.mark.parametrize("kind", get_args(StreamEvent))
def test_every_event_comes_back_as_it_was(kind: type) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(events_of(kind))
    def round_trip(event: StreamEvent) -> None:
        again = decode_event(encode_event(event))
        assert type(again) is kind
        assert again == event
        assert repr(again) == repr(event)  # 1 is no 1.0 and no True

    round_trip()


def with_arguments(args: Mapping[str, Any]) -> ToolStarted:
    return ToolStarted(turn_id="t", call_id="c", tool="sql", args=args)


def test_odd_values_come_back_as_they_were() -> None:
    args = {
        "$": "boxed",
        "large": 2**70,
        "infinite": -math.inf,
        "nested": [(1, 2.0), {"deep": [Decimal("1.10")]}],
        "when": [datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), time(1), timedelta(1, 2, 3)],
        "bytes": b"\x00\xff",
        "half": "\ud83d",
        "two halves": "\ud83d\ude42",
    }
    again = decode_event(encode_event(with_arguments(MappingProxyType(args))))
    assert isinstance(again, ToolStarted)
    assert again.args == args


def test_what_is_no_number_stays_none() -> None:
    again = decode_event(encode_event(with_arguments({"x": math.nan})))
    assert isinstance(again, ToolStarted)
    assert math.isnan(again.args["x"])


def test_a_value_of_no_known_kind_becomes_its_text() -> None:
    again = decode_event(encode_event(with_arguments({"x": 1 + 2j})))
    assert again == with_arguments({"x": "(1+2j)"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"7",
        b"[1]",
        b"[1,2]",
        b'{"turn_id":"t"}',
        b'{"$":"TurnDreamt","v":{}}',
        b'{"$":"TextDelta","v":{"turn_id":"t","text":"x","mood":"new"}}',
        b'{"$":"Usage","v":{}}',
        b'{"$":"TextDelta"}',
        b'{"$":["TextDelta"],"v":{}}',
        b'{"$":"Decimal","v":"x"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_another_version_wrote_is_skipped_and_said_once(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UNREADABLE):
        decode_event(data)
    reader = Reader()
    assert reader.read(data) is reader.read(data) is None
    assert reader.skipped == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@given(st.binary())
def test_no_bytes_break_the_reader(data: bytes) -> None:
    Reader(skipped=1).read(data)


def test_arguments_without_end_are_refused_when_they_are_told() -> None:
    args: dict[str, Any] = {}
    args["self"] = args
    with pytest.raises(RecursionError):
        encode_event(with_arguments(args))


def test_a_piece_of_text_is_small_on_the_way() -> None:
    assert encode_event(TextDelta(turn_id="t", text="é")) == '["t","é"]'.encode()


def test_an_event_with_a_field_added_later_by_default_is_read() -> None:
    data = b'{"$":"ToolFinished","v":{"turn_id":"t","call_id":"c","tool":"x","ok":true,"ms":1.5,"summary":"s"}}'
    finished = ToolFinished(turn_id="t", call_id="c", tool="x", ok=True, ms=1.5, summary="s")
    assert decode_event(data) == finished
