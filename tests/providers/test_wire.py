"""The protocol with its accents: what odd servers send is read, what we send is plain."""

from types import MappingProxyType
from typing import Any

import orjson

from databot.providers.wire import Assembler, load, request_body
from databot.types.chat import ChatMessage, ChatRequest, ToolCall, ToolSpec, Usage

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
