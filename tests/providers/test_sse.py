"""Events are the same however the network cuts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.providers.sse import EventReader
from databot.types.errors import ProviderBadResponse

STREAM = 'data: {"a": "é"}\n\n: keep-alive\n\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\ndata: [DONE]\n\n'
EVENTS = ['{"a": "é"}'.encode(), b"two\nlines", b"[DONE]"]


def read(*parts: bytes, limit: int = 1000) -> list[bytes]:
    reader = EventReader("somewhere", limit=limit)
    return [event for part in parts for event in reader.feed(part)] + reader.end()


@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=12))
def test_events_do_not_depend_on_where_the_network_cuts(cuts: list[int]) -> None:
    raw = STREAM.encode()
    places = [0, *sorted(cuts), len(raw)]
    parts = [raw[a:b] for a, b in pairwise(places) if a != b]
    assert read(*parts) == EVENTS


def test_a_last_event_without_its_blank_line_still_counts() -> None:
    assert read(b"data: one\n\ndata: two") == [b"one", b"two"]


def test_a_byte_order_mark_is_no_part_of_the_first_event() -> None:
    assert read(b"\xef\xbb\xbfdata: one\n\n") == [b"one"]


def test_an_event_over_the_limit_is_refused_however_slowly_it_comes() -> None:
    with pytest.raises(ProviderBadResponse, match="somewhere sent a single event"):
        read(b"data: ", *[b"x" * 100] * 20)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_make_the_reader_fail(parts: list[bytes]) -> None:
    read(*parts)
