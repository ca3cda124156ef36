"""The protocol with its accents: what odd servers send is read, what we send is plain."""

from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databot.providers.errors import Place, error_in
from databot.providers.reading import take_in
from databot.providers.wire import Assembler, load, request_body
from databot.types.chat import ChatMessage, ChatRequest, ToolCall, ToolSpec, Usage
from databot.types.errors import ProviderBadResponse

REQUEST = ChatRequest(
    model="m",
    messages=(ChatMessage(role="user", content="Hello?"),),
    tools=(
        ToolSpec(
            name="sql",
            description="Run it.",
            parameters=MappingProxyType({"properties": MappingProxyType({"q": {}})}),
        ),
    ),
    max_output_tokens=64,
)


def assembled(*deltas: dict[str, Any], finish: str = "stop") -> Assembler:
    answer = Assembler()
    for delta in deltas:
        answer.add({"choices": [{"delta": delta}]})
    answer.add({"choices": [{"delta": {}, "finish_reason": finish}]})
    return answer


def calls_of(*pieces: dict[str, Any]) -> list[tuple[str, str, str]]:
    answer = assembled(*({"tool_calls": [piece]} for piece in pieces))
    reply = answer.reply("m", Usage())
    return [(call.id, call.name, call.arguments) for call in reply.tool_calls]


def body(refused: frozenset[str] = frozenset(), *, stream: bool = True) -> dict[str, Any]:
    return orjson.loads(request_body(REQUEST, stream=stream, refused=refused))


def test_a_request_leaves_out_what_the_server_refused() -> None:
    assert body()["max_tokens"] == 64
    assert body()["stream_options"] == {"include_usage": True}
    without = body(frozenset({"max_tokens", "stream_options", "temperature"}))
    assert without["max_completion_tokens"] == 64
    assert not {"max_tokens", "stream_options", "temperature"} & set(without)
    assert "max_completion_tokens" not in body(frozenset({"max_tokens", "max_completion_tokens"}))
    assert "stream_options" not in body(stream=False)


def test_a_schema_may_be_any_mapping() -> None:
    assert body()["tools"][0]["function"]["parameters"] == {"properties": {"q": {}}}


def test_a_tool_call_is_put_together_by_its_index() -> None:
    assert calls_of(
        {"index": 0, "id": "a", "function": {"name": "sql", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "schema", "arguments": "{"}},
        {"index": 0, "function": {"arguments": '{"q": 1}'}},
        {"index": 1, "function": {"arguments": "}"}},
    ) == [("a", "sql", '{"q": 1}'), ("b", "schema", "{}")]


def test_without_an_index_the_id_tells_calls_apart() -> None:
    assert calls_of(
        {"id": "a", "function": {"name": "sql", "arguments": '{"q"'}},
        {"function": {"arguments": ": 1}"}},
        {"id": "b", "function": {"name": "sql", "arguments": "{}"}},
        {"id": "a", "function": {"arguments": ""}},
    ) == [("a", "sql", '{"q": 1}'), ("b", "sql", "{}")]


def test_parallel_calls_under_one_index_are_different_calls_when_their_ids_differ() -> None:
    assert calls_of(
        {"index": 0, "id": "a", "function": {"name": "sql", "arguments": "{}"}},
        {"index": 0, "id": "b", "function": {"name": "sql", "arguments": '{"q": 2}'}},
    ) == [("a", "sql", "{}"), ("b", "sql", '{"q": 2}')]


def test_missing_ids_are_given_and_arguments_as_objects_are_written_out() -> None:
    assert calls_of(
        {"index": 0, "function": {"name": "sql", "arguments": {"q": 1}}},
        {"index": 1, "function": {"name": "now"}},
    ) == [("call_0", "sql", '{"q":1}'), ("call_1", "now", "{}")]


def test_the_reason_for_the_end_is_kept_where_it_matters() -> None:
    for said, meant in {
        "length": "length",
        "content_filter": "content_filter",
        "eos": "stop",
    }.items():
        assert assembled({"content": "x"}, finish=said).reply("m", Usage()).finish_reason == meant
    call = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}
    assert assembled(call, finish="length").reply("m", Usage()).finish_reason == "tool_calls"


def test_text_may_come_in_parts_and_thoughts_are_no_text() -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes."}]
    assert assembled({"content": parts}).text == "Yes."
    assert assembled({"reasoning_content": "hm", "content": None}).text == ""
    assert assembled({"refusal": "I must not."}).text == "I must not."


def test_usage_may_be_missing_or_null() -> None:
    answer = assembled({"content": "x"})
    answer.add({"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": 3}})
    answer.add({"choices": [], "usage": None})
    assert answer.tokens() == (0, 3)


def test_bytes_that_are_not_utf8_are_replaced_and_what_is_no_object_is_none() -> None:
    assert load(b'{"a": "caf\xe9"}') == {"a": "caf\ufffd"}
    assert load(b"[1]") is None
    assert load(b"{") is None


def test_an_answer_with_calls_is_sent_back_with_null_for_no_text() -> None:
    call = ToolCall(id="a", name="sql", arguments="{}")
    message = ChatMessage(role="assistant", content="", tool_calls=(call,))
    request = ChatRequest(model="m", messages=(message,))
    sent = orjson.loads(request_body(request, stream=False, refused=frozenset()))
    assert sent["messages"][0]["content"] is None
    assert "tools" not in sent


FIELDS = [
    "choices",
    "delta",
    "message",
    "content",
    "tool_calls",
    "index",
    "id",
    "function",
    "name",
    "arguments",
    "usage",
    "error",
    "finish_reason",
    "text",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
    ),
    max_leaves=30,
)


@pytest.mark.parametrize(
    "event",
    [
        {"choices": 5},
        {"choices": [None]},
        {"choices": {"delta": {}}},
        {"choices": [{"delta": "text"}]},
        {"choices": [{"delta": {"tool_calls": [None]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": [], "function": {}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": "sql"}]}}]},
    ],
)
def test_json_of_the_wrong_shape_is_refused_in_our_words(event: dict[str, Any]) -> None:
    with pytest.raises(ProviderBadResponse, match="JSON that is not an answer"):
        take_in(Assembler(), event, Place(host="h", model="m"))


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "usage", "model"]), JSON)))
def test_json_of_any_shape_is_read_or_refused_in_our_words(events: list[dict[str, Any]]) -> None:
    answer = Assembler()
    place = Place(host="h", model="m")
    for event in events:
        with suppress(ProviderBadResponse):
            assert isinstance(take_in(answer, event, place), str)
    reply = answer.reply("m", Usage())
    assert all(isinstance(call.arguments, str) for call in reply.tool_calls)
    assert all(number >= 0 for number in answer.tokens())


@given(JSON)
def test_an_error_of_any_shape_is_an_error(error: object) -> None:
    translated = error_in({"error": error}, Place(host="h", model="m"))
    assert (translated is not None) == bool(error)


def test_sequences_and_sets_in_a_schema_are_written_as_lists() -> None:
    schema = {"enum": ("a", "b"), "required": frozenset({"q"}), "kind": range(2)}
    tool = ToolSpec(name="t", description="", parameters=MappingProxyType(schema))
    body = request_body(replace(REQUEST, tools=(tool,)), stream=False, refused=frozenset())
    written = orjson.loads(body)["tools"][0]["function"]["parameters"]
    assert written == {"enum": ["a", "b"], "required": ["q"], "kind": [0, 1]}


def test_what_has_no_place_in_a_schema_is_refused() -> None:
    tool = ToolSpec(name="t", description="", parameters={"default": object()})
    with pytest.raises(TypeError):
        request_body(replace(REQUEST, tools=(tool,)), stream=False, refused=frozenset())


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "image"}, "b", {"type": "text"}], "a"),
        ({"parts": []}, ""),
    ],
)
def test_only_text_counts_in_content_of_other_shapes(content: object, text: str) -> None:
    assert Assembler().add({"choices": [{"message": {"content": content}}]}) == text
