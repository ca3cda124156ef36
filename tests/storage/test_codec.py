"""The stored spelling, held still: changing one of these texts strands every database in use."""

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.storage.codec import (
    decode_attachments,
    decode_chat,
    decode_message,
    dumps,
    encode_attachments,
    encode_chat,
    encode_message,
    encode_question,
    from_micros,
    loads,
    to_micros,
)
from databot.types.chat import ChatMessage, ToolCall
from databot.types.messages import Attachment, InboundMessage, Principal

QUESTION = InboundMessage(
    channel="slack",
    chat_id="C1",
    sender_id="U1",
    content="hi",
    principal=Principal(id="U1", tenant_id="acme", roles=frozenset({"b", "a"}), display_name="Ada"),
    stream=True,
    thread_id="171.2",
    message_id="Ev1",
    tenant_id="acme",
    bot_id="sales",
    agent="sql",
)
ASKED = ChatMessage(
    role="assistant", content="", tool_calls=(ToolCall(id="c1", name="sql", arguments="{bad"),)
)
FOUND = ChatMessage(role="tool", content="1", tool_call_id="c1", name="sql")


def test_a_message_is_stored_as_it_always_was() -> None:
    text = (
        '{"channel":"slack","chat_id":"C1","thread_id":"171.2","message_id":"Ev1","tenant_id":"acme",'
        '"bot_id":"sales","agent":"sql","stream":true,"sender_id":"U1","principal":{"id":"U1",'
        '"tenant_id":"acme","roles":["a","b"],"display_name":"Ada"},"versions":{"databot":"0.1.0"}}'
    )
    question = '[{"role":"user","content":"hi"}]'
    assert encode_message(QUESTION, {"databot": "0.1.0"}) == text
    assert encode_question(QUESTION.content) == question
    assert decode_message(question, loads(text), None) == QUESTION
    assert decode_chat(question) == [ChatMessage(role="user", content="hi")]


def test_chat_messages_are_stored_as_they_always_were() -> None:
    text = (
        '[{"role":"assistant","content":"","tool_calls":[{"id":"c1","name":"sql","arguments":"{bad"}]},'
        '{"role":"tool","content":"1","tool_call_id":"c1","name":"sql"}]'
    )
    assert encode_chat((ASKED, FOUND)) == text
    assert decode_chat(text) == [ASKED, FOUND]


def test_attachments_are_stored_as_they_always_were() -> None:
    files = (Attachment(name="a.bin", media_type="x/y", data=b"\x00\xff"),)
    text = '[{"name":"a.bin","media_type":"x/y","data":"AP8="}]'
    assert encode_attachments(files) == text
    assert decode_attachments(text) == files
    assert encode_attachments(()) is None


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives(text: str) -> None:
    message = ChatMessage(role="user", content=text, name=text)
    assert decode_chat(encode_chat((message,))) == [message]


@given(st.text(st.characters(categories=["Cs", "Lu", "Cc"]), min_size=1))
def test_half_characters_are_replaced_so_that_everything_can_be_kept(text: str) -> None:
    stored = encode_chat((ChatMessage(role="tool", content=text, tool_call_id="c"),))
    assert decode_chat(stored)[0].content == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("value", "read_back"),
    [
        (Decimal("1.10"), "1.10"),
        (10**30, str(10**30)),
        (float("nan"), None),
        ([10**30, float("inf"), True, None], [str(10**30), None, True, None]),
        ({1: {"\ud800": 2}}, {"1": {"?": 2}}),
        (MappingProxyType({"a": frozenset({"y", "x"})}), {"a": ["x", "y"]}),
        (["\ud800", {"x"}], ["?", ["x"]]),
    ],
)
def test_values_json_does_not_know_are_kept_as_near_as_it_can(
    value: object, read_back: object
) -> None:
    assert loads(dumps(value)) == read_back


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_survives_to_the_microsecond(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment
